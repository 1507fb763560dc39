/** Fifty stored features of users, pushed: what is read from Redis in several benchmarks. */
export const NAMES = Array.from({ length: 50 }, (_, i) => `score_${String(i).padStart(2, '0')}`)

export const DEFINITIONS = `import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
${NAMES.map((name) => `export const ${name} = feature({ entity: User, type: 'float' })`).join('\n')}
`

/** Each user another value of each feature. @param url Of a server. @throws Error unless all are taken. */
export async function pushAll(url: string, users: number): Promise<void> {
  for (const [feature, name] of NAMES.entries()) {
    const rows = Array.from({ length: users }, (_, i) => ({ user_id: `u${i}`, value: feature + i / 8 }))
    const init = { method: 'POST', body: JSON.stringify({ rows }), headers: { 'content-type': 'application/json' } }
    const response = await fetch(`${url}/v1/features/${name}/values`, init)
    if (!response.ok) throw new Error(`${name}: ${response.status} ${await response.text()}`)
  }
}
