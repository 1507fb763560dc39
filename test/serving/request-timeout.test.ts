/** FABRA_REQUEST_TIMEOUT is the time of features that have none of their own, in both languages. */
import { expect, test } from 'bun:test'
import { realApp } from '../support/real-app.ts'

const FILES = {
  TypeScript: {
    'features.ts': `import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const hangs = feature({ entity: User, refresh: 0, type: 'int' }, () => new Promise(() => {}))
export const own = feature({ entity: User, refresh: 0, type: 'int', timeout: '60s' }, () => 7)
`,
  },
  Python: {
    'features.py': `import asyncio
from fabra import entity, feature
@entity
class User:
    user_id: str
@feature(entity=User, refresh=0)
async def hangs(user_id: str) -> int:
    await asyncio.sleep(3600)
    return 1
@feature(entity=User, refresh=0, timeout="60s")
def own(user_id: str) -> int:
    return 7
`,
  },
}

test.each(['TypeScript', 'Python'] as const)(
  'a feature in %s without a timeout has that of the server, one with a timeout its own',
  async (language) => {
    const { PATH = '', HOME = '' } = process.env
    await using app = await realApp(FILES[language], { PATH, HOME, FABRA_REQUEST_TIMEOUT: '80ms' })
    const late = await app.get('/v1/features/hangs?user_id=u1')
    expect(late).toMatchObject({ status: 504, text: expect.stringMatching(/feature_timeout.* within 80 ms/) })
    expect(await app.get('/v1/features/own?user_id=u1')).toMatchObject({ status: 200, text: expect.stringContaining('"value":7') })
  },
)
