/**
 * What test helpers of other languages speak with this executable: a question a line on stdin, `{"at", "given", "feature", "key", "inputs"}`, and its answer
 * a line on stdout, `{"value"}` or `{"error"}`, in the order of the questions.
 */
import { openTestStore, type TestStore } from '../app/app.ts'
import { parseExact } from '../definition/exact-json.ts'
import { InvalidDefinitions, problemText } from '../definition/problems.ts'
import { FabraError } from '../errors.ts'
import { readCase, testTime } from './golden-file.ts'

type GivenRows = Readonly<Record<string, readonly unknown[]>>
export type StoreOptions = Omit<Parameters<typeof openTestStore>[0], 'known'>

/** One question at a time. A store is opened for the first, and anew where rows show what a source is that nothing else told of. */
export async function answerTests(
  lines: AsyncIterable<string>,
  options: StoreOptions & { readonly cwd: string },
  write: (line: string) => void,
) {
  const known: GivenRows[] = []
  let store: TestStore | undefined
  try {
    for await (const line of lines) {
      if (line.trim() === '') continue
      try {
        const { given, ...asked } = readCase(parsed(line), {}, 'The question')
        known.push(given)
        if (store && Object.keys(given).some((name) => store?.unknown.has(name))) {
          await store.close()
          store = undefined
        }
        store ??= await openTestStore({ ...options, known })
        write(`{"value":${await store.value({ ...asked, given, at: testTime(asked.at) })}}\n`)
      } catch (error) {
        write(`${JSON.stringify({ error: errorAnswer(error, options.cwd) })}\n`)
      }
    }
  } finally {
    await store?.close()
  }
}

function parsed(line: string): unknown {
  try {
    return parseExact(line)
  } catch {
    throw new FabraError('invalid_body', 'The question is no JSON.', {
      hint: 'Values of tests are numbers, texts, true, false, null, lists and objects.',
    })
  }
}

function errorAnswer(error: unknown, cwd: string): object {
  if (error instanceof InvalidDefinitions) {
    const problems = error.problems.map((problem) => problemText(problem, cwd)).join('\n')
    return { code: error.code, message: `${error.message}\n${problems}`, hint: error.hint ?? null }
  }
  if (error instanceof FabraError) return { code: error.code, message: error.message, hint: error.hint ?? null }
  return { code: 'internal', message: error instanceof Error ? (error.stack ?? error.message) : String(error), hint: null }
}
