/** Characters of one message in the log. */
const LONGEST = 4096
/** Characters that may be printed in a while; the log then says how many more there were. */
const BUDGET = 256 * 1024
const WHILE_MS = 10_000

/** Tells the log what a process prints, whole lines at a time, as far as a log bears it. Reads to the end: a process that nobody reads stands still. */
export async function forwardOutput(stream: ReadableStream<Uint8Array>, say: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  let spent = 0
  let dropped = 0
  let since = performance.now()

  const tellDropped = () => {
    if (dropped > 0) say(`… and ${dropped} characters more were printed.`)
    dropped = 0
  }
  const tell = (printed: string) => {
    const text = printed.trimEnd()
    if (text === '') return
    if (performance.now() - since > WHILE_MS) {
      since = performance.now()
      spent = 0
      tellDropped()
    }
    if (spent > BUDGET) {
      dropped += text.length
      return
    }
    const shown = text.length > LONGEST ? text.slice(0, LONGEST) : text
    dropped += text.length - shown.length
    spent += shown.length
    say(shown)
  }
  try {
    for await (const piece of stream) {
      const text = rest + decoder.decode(piece, { stream: true })
      // A line without an end is cut before it fills the memory.
      const end = text.length > LONGEST ? text.length : text.lastIndexOf('\n') + 1
      tell(text.slice(0, end))
      rest = text.slice(end)
    }
  } catch {
    // The process has ended while it was read.
  }
  tell(rest + decoder.decode())
  tellDropped()
}
