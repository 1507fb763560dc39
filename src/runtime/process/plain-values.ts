/**
 * Frames of TypeScript as texts: JSON, and a few words for what JSON has nothing for, so that a function is given the same values in a process as
 * in a thread, whose messages are copied as they are: bigint, NaN, the infinities and -0. Such a value is a string that begins with NUL; a string that
 * does so by itself gets another NUL.
 */
const MARK = '\0'
/** How a string that begins so looks in JSON. Nearly no message has one, and is read and written the fast way. */
const MARKED = '"\\u0000'

/** @param isPlain Whether it holds nothing but what JSON says. @throws TypeError for what cannot travel at all */
export function plainText(frame: object, isPlain: boolean): string {
  if (isPlain) {
    const text = JSON.stringify(frame)
    if (!text.includes(MARKED)) return text
  }
  return JSON.stringify(frame, marked)
}

export function parsePlain(text: string): unknown {
  return text.includes(MARKED) ? JSON.parse(text, unmarked) : JSON.parse(text)
}

function marked(_name: string, value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith(MARK) ? MARK + value : value
  if (typeof value === 'bigint') return `${MARK}n${value}`
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))
    return `${MARK}f${Object.is(value, -0) ? '-0' : value}`
  if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`a ${typeof value} cannot leave its process`)
  return value
}

function unmarked(_name: string, value: unknown): unknown {
  if (typeof value !== 'string' || !value.startsWith(MARK)) return value
  const rest = value.slice(2)
  if (value[1] === MARK) return value.slice(1)
  return value[1] === 'n' ? BigInt(rest) : Number(rest)
}
