/**
 * What a function of another language gave, in the words of this one: a guest writes JSON as its language writes it, and the host writes it again,
 * so that a value has the same bytes whatever computed it. What is not of its declared type is refused here, in the same words.
 */
import type { CallOutcome } from '../compute/function-runner.ts'
import { declaredType } from '../definition/declared-type.ts'
import { ofValueInPython } from '../definition/python-words.ts'
import { encodeValue, parseExact } from '../definition/value.ts'
import { FabraError } from '../errors.ts'
import type { Outcome } from './calls-in-flight.ts'
import type { DefinedFunction, ResultFrame } from './frames.ts'
import type { PoolDefinitions } from './host-definitions.ts'

export function readForeign(definitions: PoolDefinitions, feature: string, frame: ResultFrame): Outcome {
  const fn = definitions.function(feature)
  if (fn === undefined) return frame
  // User code can reach the wire, and may send what is none of ours.
  if (!Array.isArray(frame.elements)) return frame.usedPresent === undefined ? rewritten(fn, frame) : { ...frame, ...rewritten(fn, frame) }
  return { ...frame, elements: frame.elements.map((element) => rewritten(fn, element)) }
}

function rewritten({ columns }: DefinedFunction, outcome: CallOutcome): CallOutcome {
  try {
    const { texts } = outcome
    if (texts === null) return outcome
    return { texts: columns.map((column, i) => encodedAgain(declaredType(column) ?? 'json', column.name, texts[i])) }
  } catch (error) {
    const { code, message, hint } = error instanceof FabraError ? error : new FabraError('wrong_type', 'it gave what is no JSON.')
    return { texts: null, error: ofValueInPython({ code, message, ...(hint === undefined ? {} : { hint }) }) }
  }
}

/** How every language writes an int that is no long one: it would come back as it is. */
const SHORT_INT = /^(?:0|-?[1-9]\d{0,14})$/

function encodedAgain(type: Parameters<typeof encodeValue>[0], name: string | null, text: string | undefined): string {
  if (text === undefined) throw new FabraError('wrong_type', `it gave nothing for the column "${name}".`)
  if (type === 'int' && typeof text === 'string' && SHORT_INT.test(text)) return text
  try {
    return encodeValue(type, parseExact(text))
  } catch (error) {
    if (!(error instanceof FabraError) || name === null) throw error
    throw new FabraError(error.code, `column "${name}": ${error.message}`, error.hint === undefined ? {} : { hint: error.hint })
  }
}
