import { expect, test } from 'bun:test'
import { table } from '../../src/cli/output.ts'

const ROWS = [
  ['FEATURE', 'ENTITY', 'DESCRIPTION'],
  ['spend', 'User', 'Everything that was spent in the last thirty days, in the currency of the country of the user, without refunds.'],
  ['a_feature_whose_name_is_so_long_that_it_does_not_fit_into_any_terminal_of_eighty_columns', 'User', ''],
]

test('a table keeps to the width of a terminal, with every word of it', () => {
  const text = table(ROWS, 80)
  for (const line of text.split('\n')) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80)
  const words = (given: string) => given.replace(/\s+/g, '').split('').toSorted().join('')
  expect(words(text)).toBe(words(ROWS.flat().join('')))
})

test('each column stays in its place, line by line', () => {
  const [head = '', ...lines] = table(ROWS.slice(0, 2), 60).trimEnd().split('\n')
  const at = head.indexOf('DESCRIPTION')
  expect(lines.length).toBeGreaterThan(1)
  for (const line of lines) expect(line.slice(at - 2, at)).toBe('  ')
  for (const line of lines.slice(1)) expect(line.slice(0, at).trim()).toBe('')
})

test('without a terminal a row is a line', () => {
  expect(table(ROWS).trimEnd().split('\n')).toHaveLength(ROWS.length)
})

test('a table of more columns than fit ends all the same', () => {
  const wide = Array.from({ length: 40 }, (_, i) => `column_number_${i}`)
  expect(table([wide, wide], 80)).toContain('column_num')
})
