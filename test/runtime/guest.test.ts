/** The far end of the frames by itself: a thread that is sent messages as the pool sends them, and that nobody watches. */
import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import type { CallFrame, GuestFrame, LoadedFrame, ResultFrame } from '../../src/runtime/frames.ts'
import { startGuestThread } from '../../src/runtime/guest-thread.ts'
import { buildDefinitions } from '../../src/runtime/host-definitions.ts'
import { workerUrl } from '../../src/runtime/worker-url.ts'
import { HEAD, project } from './project.ts'

const FILE = `import { existsSync } from 'node:fs'
${HEAD}
export const takes = feature({ entity: User, refresh: 0, type: 'int' }, () => {
  const endsAt = performance.now() + 20
  while (performance.now() < endsAt);
  return 1
})
export const awaits = feature({ entity: User, refresh: 0, type: 'bool' }, (path) => {
  const endsAt = performance.now() + 30_000
  while (!existsSync(path) && performance.now() < endsAt);
  return existsSync(path)
})
`

test('what a call gave is sent before those that came with it and take long have ended', async () => {
  using on = project({ 'features.ts': FILE })
  const loaded = Promise.withResolvers<LoadedFrame>()
  const results: ResultFrame[] = []
  const both = Promise.withResolvers<void>()
  const thread = startGuestThread(workerUrl(), {
    onFrames(frames: readonly GuestFrame[]) {
      for (const frame of frames) {
        if (frame.t === 'loaded') loaded.resolve(frame)
        if (frame.t !== 'result') continue
        results.push(frame)
        writeFileSync(on.path('answered'), '')
        if (results.length === 2) both.resolve()
      }
    },
    onCrash: (reason) => loaded.reject(new Error(reason)),
  })
  try {
    const files = [on.path('features.ts')]
    thread.post([{ t: 'load', files, clockOffset: 0, running: null, gates: null }])
    const { pools } = buildDefinitions(files, [await loaded.promise])
    const call = (id: number, feature: string): CallFrame => ({
      ...{ t: 'call', id, feature, key: [on.path('answered')], inputs: null, asOf: 0, mode: 'present', slot: -1 },
    })
    thread.post([...pools.map(({ frame }) => frame), call(1, 'takes'), call(2, 'awaits')])
    await both.promise
    expect(results.map(({ id, texts }) => [id, texts])).toEqual([
      [1, ['1']],
      [2, ['true']],
    ])
  } finally {
    await thread.terminate()
  }
})
