/** The past of functions in Python: told again where nothing but the row's time counts, refused with the line where a clock does. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { PATIENT, PATIENT_REDIS } from '../support/patience.ts'
import { productionAddresses } from '../support/production-mode.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'

const FEATURES = `from datetime import datetime, timezone
from rules.times import stamp
from fabra import as_of, entity, feature, get

@entity
class User:
    user_id: str

@feature(entity=User, refresh=0)
def hour(user_id: str) -> int:
    return as_of().hour

@feature(entity=User, refresh=0)
def this_hour(user_id: str) -> int:
    return datetime.now(timezone.utc).hour

@feature(entity=User, refresh=0, inputs={"amount": float})
def stamped(user_id: str, amount: float) -> float:
    return amount + stamp()

@feature(entity=User, refresh=0, history="off")
def rolled(user_id: str) -> int:
    import random
    return random.randint(1, 6)

@feature(entity=User, refresh=0, replay=True)
def said(user_id: str) -> int:
    return min(7, datetime.now().year)

@feature(entity=User, refresh="1h")
def hourly(user_id: str) -> int:
    return get(hour) + 1

@feature(entity=User, refresh="1h", replay=False)
def recorded(user_id: str) -> int:
    return 1

@feature(entity=User, refresh="1h", replay=True)
def doubled(user_id: str) -> int:
    return get(hour) * 2
`
let project: ProjectFolder
let app: App

beforeAll(async () => {
  project = projectFolder({ 'features.py': FEATURES, 'rules/times.py': 'import time as clock\ndef stamp():\n    return clock.time()\n' })
  const { PATH, HOME } = process.env
  const env = { PATH, HOME, ...PATIENT, FABRA_DATA_DIR: join(project.path, '.fabra'), ...(await productionAddresses(project.path)) }
  const config = readConfig(env, { cwd: project.path, terminal: false })
  app = await openApp({ files: [join(project.path, 'features.py')], config, log: silentLogger, clockOffset: 0, redisTimes: PATIENT_REDIS })
}, 180_000)
afterAll(async () => {
  await app?.close()
  project?.[Symbol.dispose]()
})

async function train(query: string, body?: string): Promise<string> {
  const init = { method: 'POST', ...(body === undefined ? {} : { body, headers: { 'content-type': 'text/csv' } }) }
  return (await app.fetch(new Request(`http://localhost/v1/training-sets?${query}`, init))).text()
}

test('a function that names a clock or chance is not run again, and the file and line of it are told', async () => {
  const { features } = JSON.parse(await train('features=hour,this_hour,stamped,rolled,said,hourly,recorded,doubled&explain=true')) as {
    features: { feature: string; method: string | null; why: string }[]
  }
  expect(Object.fromEntries(features.map(({ feature, method }) => [feature, method]))).toEqual({
    hour: 'replay',
    this_hour: null,
    stamped: null,
    rolled: null,
    said: 'replay',
    hourly: 'replay',
    recorded: null,
    doubled: 'replay',
  })
  const why = (name: string) => features.find(({ feature }) => feature === name)?.why
  expect(why('this_hour')).toContain("uses datetime.datetime.now (features.py:15), which knows nothing of a row's time")
  expect(why('stamped')).toContain('uses time.time (rules/times.py:3)')
  expect(why('rolled')).toContain('uses random.randint (features.py:24)')
  expect(why('hourly')).toBe('a function that asks no clock')
  expect(why('recorded')).toContain('neither realtime nor said to replay')
  const { error } = JSON.parse(await train('features=stamped', 'user_id,event_timestamp,amount\nu1,2026-01-01T05:00:00Z,3\n'))
  expect(error).toMatchObject({ code: 'not_trainable', hint: expect.stringContaining('add replay=True') })
  const asked = JSON.parse(await train('features=this_hour&method=replay', 'user_id,event_timestamp\nu1,2026-01-01T05:00:00Z\n'))
  expect(asked.error.message).toContain('features.py:15')
})

test('what asks no clock but as_of(), or says that it replays, is', async () => {
  const labels = 'user_id,event_timestamp\nu1,2026-01-01T05:00:00Z\nu1,2026-01-01T17:30:00Z\n'
  expect(await train('features=hour,hourly,doubled,said&format=csv', labels)).toBe(
    'user_id,event_timestamp,hour,hourly,doubled,said\nu1,2026-01-01T05:00:00Z,5,6,10,7\nu1,2026-01-01T17:30:00Z,17,18,34,7\n',
  )
})
