/** One embedded file. */
export interface NativeFile {
  readonly name: string
  /** Where the compressed bytes are, in the virtual folder of the executable. */
  readonly path: string
  /** Bytes once unpacked. */
  readonly size: number
}

export interface NativeLibrary {
  /** Names the contents: other contents, other folder. */
  readonly fingerprint: string
  /** The addon that is opened; the others are what it links to, and lie beside it. */
  readonly addon: NativeFile
  readonly libraries: readonly NativeFile[]
}
