import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pythonTypeCheck } from '../../src/cli/python-type-check.ts'
import { pythonSettingsOf } from '../../src/config/python-settings.ts'
import { interpreters } from '../support/interpreters.ts'
import { MYPY_SETTINGS, pythonTool } from '../support/python.ts'

const ROOT = join(import.meta.dir, '../..')
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fabra-mypy-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const settings = (python: string) => pythonSettingsOf({ HOME: process.env['HOME'], PATH: '/nowhere', FABRA_PYTHON: python })

test('mypy of the environment finds nothing wrong with the examples, and names the line of what is', async () => {
  writeFileSync(join(folder, 'mypy.ini'), MYPY_SETTINGS)
  writeFileSync(join(folder, 'other.py'), 'WORD: int = "text"\n')
  const bad = join(folder, 'bad.py')
  writeFileSync(
    bad,
    'import other\nfrom fabra import entity, feature\n@entity\nclass User:\n    user_id: str\n@feature(entity=User, refresh=0)\ndef a(user_id: str) -> int:\n    return user_id\n',
  )
  const names = ['basic_features', 'fraud_detection', 'recommendations', 'personalization']
  const python = settings(pythonTool('python'))
  const examples = names.map((name) => join(ROOT, 'examples', `${name}.py`))
  expect(await pythonTypeCheck([bad, ...examples], python, folder)).toEqual([
    {
      location: { file: join(folder, 'other.py'), line: 1, column: 13 },
      subject: 'mypy assignment',
      message: 'Incompatible types in assignment (expression has type "str", variable has type "int").',
      hint: '',
    },
    {
      location: { file: bad, line: 8, column: 12 },
      subject: 'mypy return-value',
      message: 'Incompatible return value type (got "str", expected "int").',
      hint: '',
    },
  ])
}, 120_000)

test('where there is no checker, the problem says how to get one', async () => {
  const [python] = interpreters()
  const [problem] = await pythonTypeCheck([join(folder, 'features.py')], settings(python?.path ?? ''), folder)
  expect(problem).toMatchObject({ subject: 'types', hint: expect.stringContaining('-m pip install mypy') })
})
