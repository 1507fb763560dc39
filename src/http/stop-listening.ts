/**
 * Stops taking connections and keeps those that are there, which Bun's own server does not do: its stop() cuts every connection that has no
 * request running, also one that was accepted a moment ago and whose request is on its way. Linux only; elsewhere nothing happens here, and such a
 * request is refused.
 *
 * Connections wait in the kernel until the event loop takes them, and those are cut when the socket stops listening. So it is asked how many
 * wait, and stopped the moment there are none; meanwhile no more than one may wait, so that clients that come without a pause do not keep the
 * queue full: the kernel lets the others try again later, when nobody listens. Bun has the kernel hold back those that have not sent anything yet
 * (TCP_DEFER_ACCEPT), and they are not counted: that is ended first.
 */
import { dlopen, FFIType, ptr } from 'bun:ffi'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const ESTABLISHED = '01'
const LISTEN = '0A'
const IPPROTO_TCP = 6
const TCP_DEFER_ACCEPT = 9
const TCP_INFO = 11
/** Of struct tcp_info: "unacked", which for a listening socket counts connections that wait. */
const WAITING_OFFSET = 24
const SHUT_RDWR = 2
/** Under a load that never lets the queue run empty it stops all the same. */
const LONGEST_WAIT_MS = 1_000

/**
 * Call some moments before: connections that are held back come only when they send something, and looking up takes milliseconds.
 * @returns what stops the listening, or null where that cannot be done.
 */
export function findListener(port: number): (() => Promise<void>) | null {
  if (process.platform !== 'linux') return null
  try {
    const sockets = listeningSockets(port)
    const libc = dlopen('libc.so.6', {
      shutdown: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
      setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
      listen: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
      getsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
    })
    const off = new Uint32Array([0])
    for (const socket of sockets) libc.symbols.setsockopt(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, ptr(off), off.byteLength)
    const info = new Uint32Array(64)
    const size = new Uint32Array(1)
    const waiting = (socket: number) => {
      size[0] = info.byteLength
      return libc.symbols.getsockopt(socket, IPPROTO_TCP, TCP_INFO, ptr(info), ptr(size)) === 0 ? (info[WAITING_OFFSET / 4] ?? 0) : 0
    }
    return async () => {
      const endsAt = performance.now() + LONGEST_WAIT_MS
      for (const socket of sockets) {
        libc.symbols.listen(socket, 0)
        for (let tries = 1; waiting(socket) > 0 && performance.now() < endsAt; tries++) {
          // Timers let the event loop look at its sockets, which immediates alone need not.
          await (tries % 4 === 0 ? Bun.sleep(1) : new Promise((resolve) => setImmediate(resolve)))
        }
        libc.symbols.shutdown(socket, SHUT_RDWR)
      }
      libc.close()
    }
  } catch {
    // No /proc, or another libc: the server's own stop() has to do.
    return null
  }
}

/** Connections to the port that neither side has closed; null where the system does not say. */
export function countConnections(port: number): number | null {
  if (process.platform !== 'linux') return null
  return tcpLines(port).filter(({ state }) => state === ESTABLISHED).length
}

/** Descriptors of this process that listen on the port. */
function listeningSockets(port: number): number[] {
  const inodes = new Set(tcpLines(port).flatMap(({ state, inode }) => (state === LISTEN ? [`socket:[${inode}]`] : [])))
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((descriptor) => inodes.has(linkOf(`/proc/self/fd/${descriptor}`)))
}

/** Sockets whose own end has the port, of any process. */
function tcpLines(port: number): { readonly state: string; readonly inode: string }[] {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return ['/proc/self/net/tcp', '/proc/self/net/tcp6'].flatMap(linesOf).flatMap((line) => {
    const [, local = '', , state = '', , , , , , inode = ''] = line.trim().split(/\s+/)
    return local.endsWith(ending) ? [{ state, inode }] : []
  })
}

/** Without IPv6 there is no such file. */
function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch {
    return []
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
