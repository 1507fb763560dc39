import { dlopen, FFIType } from 'bun:ffi'
import { writeSync } from 'node:fs'
import type { NativeFile, NativeLibrary } from './library.ts'

const MFD_CLOEXEC = 1
/** Resolve all symbols now, and let later libraries use them. */
const RTLD_NOW_GLOBAL = 0x102

/**
 * The last resort: Linux can execute a file that exists only in memory. Costs the decompression at every start and the memory of the
 * whole library, but needs no disk at all.
 * @throws Error on systems other than Linux with glibc.
 */
export function loadFromMemory(
  library: NativeLibrary,
  decompress: (file: NativeFile) => Uint8Array,
  openAddon: (path: string) => unknown,
): unknown {
  if (process.platform !== 'linux') throw new Error('only Linux can load a library from memory')
  const libc = dlopen('libc.so.6', {
    memfd_create: { args: [FFIType.cstring, FFIType.u32], returns: FFIType.i32 },
    dlopen: { args: [FFIType.cstring, FFIType.i32], returns: FFIType.ptr },
  }).symbols
  const place = (file: NativeFile): string => {
    const descriptor = libc.memfd_create(Buffer.from(`${file.name}\0`), MFD_CLOEXEC)
    if (descriptor < 0) throw new Error('memfd_create was refused')
    const bytes = decompress(file)
    for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written)
    // Stays open for the life of the process: its number is the library's path.
    return `/proc/self/fd/${descriptor}`
  }
  // Once loaded, a library is known by its own name (SONAME), and the addon that asks for that name is given this one.
  for (const file of library.libraries) {
    if (libc.dlopen(Buffer.from(`${place(file)}\0`), RTLD_NOW_GLOBAL) === null) throw new Error(`${file.name} could not be opened`)
  }
  return openAddon(place(library.addon))
}
