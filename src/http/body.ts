import { faultSentence, jsonFault } from '../definition/json-fault.ts'
import { parseExact } from '../definition/value.ts'
import { FabraError, suggest } from '../errors.ts'
import { FilePace, inPace } from './body-pace.ts'

/** Largest request body, 8 MiB. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024

/**
 * The JSON object of a request's body; integers beyond 2^53 are bigints.
 * @param parse Throws what is no JSON.
 * @throws FabraError invalid_body, body_too_large
 */
export async function readBody(
  request: Request,
  fields: readonly string[],
  parse: (text: string) => unknown = parseExact,
): Promise<Readonly<Record<string, unknown>>> {
  const text = await readText(request)
  let body: unknown
  try {
    body = parse(text)
  } catch {
    throw notJson(text, `Send a JSON object with ${fields.join(', ')}.`)
  }
  if (!isObject(body))
    throw new FabraError('invalid_body', 'The body is not a JSON object.', { hint: `Send an object with ${fields.join(', ')}.` })
  for (const name of Object.keys(body)) {
    if (!fields.includes(name))
      throw new FabraError('invalid_body', `Unknown field "${name}" in the body.`, { hint: suggest(name, fields) })
  }
  return body
}

/** What is wrong with a text that no parser took, and where. */
export function notJson(text: string, hint: string): FabraError {
  if (text.trim() === '') return new FabraError('invalid_body', 'The body is empty.', { hint })
  const fault = jsonFault(text, true)
  if (!fault) return new FabraError('invalid_body', 'The body is not JSON.', { hint })
  return new FabraError('invalid_body', `The body is not JSON: ${faultSentence(fault)}`, { hint: fault.hint ?? hint })
}

/** A body of unknown length is read piece by piece, and no further than the bound. */
async function readText(request: Request): Promise<string> {
  const length = request.headers.get('content-length')
  if (Number(length ?? 0) > MAX_BODY_BYTES) throw tooLarge()
  if (length !== null || !request.body) {
    let whole: Uint8Array
    try {
      whole = await inPace(request.bytes(), Number(length ?? 0))
    } catch (cause) {
      cutOff(cause)
    }
    return decodeUtf8(whole)
  }
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of bodyPieces(request)) {
    bytes += piece.byteLength
    if (bytes > MAX_BODY_BYTES) throw tooLarge()
    pieces.push(piece)
  }
  return decodeUtf8(Buffer.concat(pieces))
}

/** @throws FabraError bad_request where the client hangs up before the end; body_too_slow */
export async function* bodyPieces(request: Request): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = request.body?.getReader()
  const pace = new FilePace()
  while (reader) {
    const { done, value } = await pace.piece(reader.read()).catch(cutOff)
    if (done) return
    yield value
  }
}

/** Nobody's failure here, and nobody waits for the answer. */
function cutOff(cause: unknown): never {
  if (cause instanceof FabraError) throw cause
  throw new FabraError('bad_request', 'The body ended before it was whole.', { cause, hint: 'Send as much as Content-Length says.' })
}

const STRICT = new TextDecoder('utf-8', { fatal: true })

/** Read leniently, texts that differ would become the same one. @throws FabraError bad_request that tells where it is no UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return STRICT.decode(bytes)
  } catch (cause) {
    throw new FabraError('bad_request', `The body is not UTF-8: byte ${firstWrongByte(bytes)} (counted from 0) belongs to no character.`, {
      cause,
      hint: 'Encode the JSON as UTF-8, not as Latin-1 or UTF-16.',
    })
  }
}

/** Whatever cannot be read is written back as something else. */
function firstWrongByte(bytes: Uint8Array): number {
  const lenient = new TextEncoder().encode(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes))
  return bytes.findIndex((byte, i) => byte !== lenient[i])
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @throws FabraError invalid_body unless the field is a list of texts. */
export function textList(body: Readonly<Record<string, unknown>>, field: string): readonly string[] {
  const value = body[field]
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  throw new FabraError('invalid_body', `"${field}" is not a list of names.`, { hint: `Write "${field}": ["a", "b"].` })
}

/** @throws FabraError invalid_body unless the field is true, false or left out. */
export function flag(body: Readonly<Record<string, unknown>>, field: string): boolean {
  const value = body[field] ?? false
  if (typeof value === 'boolean') return value
  throw new FabraError('invalid_body', `"${field}" is neither true nor false.`, { hint: `Write "${field}": true.` })
}

function tooLarge(): FabraError {
  return new FabraError('body_too_large', `The body is larger than ${MAX_BODY_BYTES / 1024 / 1024} MiB.`, {
    hint: 'Send fewer rows in one request.',
  })
}
