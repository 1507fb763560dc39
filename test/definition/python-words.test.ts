import { expect, test } from 'bun:test'
import type { Problem } from '../../src/definition/model.ts'
import { inItsLanguage, ofValueInPython } from '../../src/definition/python-words.ts'

const problem = (subject: string, message: string, hint: string): Problem => ({
  location: { file: '/shop/features.py', line: 1, column: 1 },
  subject,
  message,
  hint,
})

test('problems of a definition are said as Python writes it; those of a whole file quote what the author wrote', () => {
  expect(inItsLanguage(problem('feature "f"', 'replay: true has no effect.', 'Return a number, or null.'))).toMatchObject({
    message: 'replay=True has no effect.',
    hint: 'Return a number, or None.',
  })
  const thrown = problem('file "features.py"', 'its top-level code threw ValueError: replay: true, null', 'Look at /bin/true.')
  expect(inItsLanguage(thrown)).toEqual(thrown)
})

test('a refused value keeps its words, and its type is named as Python does', () => {
  const hint = 'Return a string, or null when nothing is known.'
  expect(ofValueInPython({ message: 'expected list[string], at [1] expected string, got the string "null true".', hint })).toEqual({
    message: 'expected list[str], at [1] expected string, got the string "null true".',
    hint: 'Return a str, or None when nothing is known.',
  })
})
