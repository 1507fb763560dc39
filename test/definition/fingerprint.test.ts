import { expect, test } from 'bun:test'
import { type FingerprintInput, fingerprint, normalizeSql } from '../../src/definition/fingerprint.ts'
import { source } from '../support/stored-definitions.ts'

const SQL = 'SELECT COUNT(*) FROM transactions WHERE user_id = $user_id'

const transactions = source('shop.transactions', { timestamp: 'created_at', file: '/data/transactions.csv' })

const base: FingerprintInput = {
  columns: [{ name: null, type: 'int' }],
  inputs: {},
  entity: { name: 'User', key: [{ name: 'user_id', type: 'string' }] },
  code: { sql: SQL },
  sources: [transactions],
  uses: [],
  version: null,
}

test('a fingerprint is sixteen hex digits and the same in every run', () => {
  expect(fingerprint(base)).toMatch(/^[0-9a-f]{16}$/)
  expect(fingerprint(base)).toBe(fingerprint(structuredClone(base)))
  // Values stored under an old fingerprint are lost to the feature: this line changes only with a release note.
  expect(fingerprint(base)).toBe('206fa61227b3c887')
})

const SAME: [string, Partial<FingerprintInput>][] = [
  ['layout', { code: { sql: 'select count( * )\n  from transactions\twhere user_id=$user_id ;' } }],
  ['letter case of keywords', { code: { sql: SQL.toLowerCase() } }],
  ['comments', { code: { sql: `-- how many\n${SQL.replace('FROM', '/* a /* b */ c */ FROM')} -- end` } }],
  ['the file of a source', { sources: [{ ...transactions, file: '/elsewhere.csv', description: 'x' }] }],
  ['a source that the query does not mention', { sources: [transactions, { ...transactions, name: 'clicks', delay: 5 }] }],
]

const OTHER: [string, Partial<FingerprintInput>][] = [
  ['the query', { code: { sql: `${SQL} AND amount > 1` } }],
  ['letter case in a string', { code: { sql: `${SQL} AND kind = 'A'` } }],
  ['the same string in the other case', { code: { sql: `${SQL} AND kind = 'a'` } }],
  ['spaces in a string', { code: { sql: `${SQL} AND kind = 'a '` } }],
  ['letter case of a quoted name', { code: { sql: SQL.replace('user_id', '"User_id"') } }],
  ['a dollar-quoted string', { code: { sql: `${SQL} AND kind = $$A  b$$` } }],
  ['an escape string', { code: { sql: `${SQL} AND kind = E'\\' -- A'` } }],
  ['two dialects', { code: { sql: { duckdb: SQL, postgres: SQL } } }],
  ['the type', { columns: [{ name: null, type: 'float' }] }],
  ['a column', { columns: [{ name: 'total', type: 'int' }] }],
  ['an input', { inputs: { amount: 'float' } }],
  ['the entity', { entity: { name: 'Account', key: base.entity.key } }],
  ['the key type', { entity: { name: 'User', key: [{ name: 'user_id', type: 'int' }] } }],
  ['the delay of its source', { sources: [{ ...transactions, delay: 5 }] }],
  ['the timestamp of its source', { sources: [{ ...transactions, timestamp: 'at' }] }],
  ['the time zone of its source', { sources: [{ ...transactions, timezone: 'Europe/Berlin' }] }],
  ['no source', { sources: [] }],
  ['a part', { uses: ['0123456789abcdef'] }],
  ['a function', { code: { text: '() => 1' } }],
  ['nothing computed', { code: null }],
  ['a version', { version: '3' }],
]

for (const [what, change] of SAME) {
  test(`${what} does not change a fingerprint`, () => {
    expect(fingerprint({ ...base, ...change })).toBe(fingerprint(base))
  })
}

test('whatever changes the meaning changes the fingerprint, each in its own way', () => {
  const prints = [base, ...OTHER.map(([, change]) => ({ ...base, ...change }))].map(fingerprint)
  expect(new Set(prints).size).toBe(prints.length)
})

test('a version stands for the code, but not for types and sources', () => {
  const v3 = { ...base, version: '3' }
  expect(fingerprint({ ...v3, code: { sql: 'SELECT 1 FROM transactions' } })).toBe(fingerprint(v3))
  expect(fingerprint({ ...v3, version: '4' })).not.toBe(fingerprint(v3))
  expect(fingerprint({ ...v3, columns: [{ name: null, type: 'float' }] })).not.toBe(fingerprint(v3))
  expect(fingerprint({ ...v3, sources: [{ ...transactions, delay: 9 }] })).not.toBe(fingerprint(v3))
})

test('a comment sign inside quotes is text, and unclosed quotes end with the text', () => {
  expect(normalizeSql(`SELECT '-- a /* b', "C -- d", $t$ -- E $t$ -- F`)).toBe(`select '-- a /* b' , "C -- d" , $t$ -- E $t$`)
  expect(normalizeSql(`SELECT 'It''s' /* open`)).toBe(`select 'It''s'`)
  expect(normalizeSql(`SELECT 'open`)).toBe(`select 'open`)
  expect(normalizeSql('')).toBe('')
})
