let folders: readonly string[] = []

/** Says where the native library may be unpacked, best first. Importing DuckDB's package loads the library, so this comes before. */
export function unpackInto(chosen: readonly string[]): void {
  folders = chosen
}

/** Without any, the library is loaded from memory. */
export function unpackFolders(): readonly string[] {
  return folders
}
