import { expect, test } from 'bun:test'
import { createSuspects } from '../../src/runtime/quarantine.ts'

/** @returns who is accused after these ends, one after the other: features that ran, `!` before them where the worker was ended from outside. */
function accusedBy(...ends: readonly string[]): string[] {
  const suspects = createSuspects(() => {})
  for (const end of ends) suspects.accuseAmong(end.replace('!', '').split(' '), end.startsWith('!'))
  return ['a', 'b', 'c'].filter(suspects.has)
}

test('who ended a worker is the one that ran, or those that ran at the end before, too', () => {
  expect(accusedBy('a')).toEqual(['a'])
  expect(accusedBy('a b')).toEqual([])
  expect(accusedBy('a b', 'b c')).toEqual(['b'])
  expect(accusedBy('a b', 'c a', 'b c')).toEqual(['a', 'c'])
})

test('an end from outside, as by kill -9, speaks against those alone that ran at three in a row', () => {
  expect(accusedBy('!a')).toEqual([])
  expect(accusedBy('!a', '!a')).toEqual([])
  expect(accusedBy('!a', '!a', '!a')).toEqual(['a'])
  expect(accusedBy('!a b', '!b c', '!b a')).toEqual(['b'])
  expect(accusedBy('!a b', '!b', 'b c')).toEqual(['b'])
})
