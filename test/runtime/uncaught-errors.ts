/** Run by a test as a program of its own: bun test takes uncaught errors of worker threads for its own. Prints what came of it as JSON. */
import { bench, HEAD } from './project.ts'

await using on = await bench(
  {
    'features.ts': `${HEAD}
      export const stray = feature({ entity: User, refresh: 0, type: 'int' }, async () => {
        Promise.reject(new Error('nobody waits'))
        setTimeout(() => { throw new Error('timer') }, 0)
        await new Promise((resolve) => setTimeout(resolve, 20))
        return 1
      })`,
  },
  { workers: 1 },
)
const answer = await on.ask('stray', ['u1'])
console.log(JSON.stringify({ answer, lines: on.lines }))
