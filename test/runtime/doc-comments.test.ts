import { expect, test } from 'bun:test'
import { createRuntime } from '../../src/runtime/runtime.ts'
import { projectFolder } from '../support/project-folder.ts'

/** Descriptions by name, as the catalogue shows them. */
async function descriptions(files: Readonly<Record<string, string>>): Promise<Record<string, string | null>> {
  using project = projectFolder(files)
  const runtime = createRuntime({ files: [`${project.path}/features.ts`], log: () => undefined })
  try {
    const { registry, problems, discard } = await runtime.load()
    discard()
    expect(problems).toEqual([])
    const all = [registry.entities, registry.sources, registry.features, registry.featureSets].flatMap((map) => [...map.values()])
    return Object.fromEntries(all.map(({ name, description }) => [name, description]))
  } finally {
    await runtime.close()
  }
}

const IMPORT = "import { entity, feature, featureSet, source } from 'fabra'\n"
const PUSHED = "feature({ entity: User, type: 'int' })"

test('a doc comment before an export is the description, of whatever kind', async () => {
  const found = await descriptions({
    'features.ts': `/** About this file. */
${IMPORT}
/** Somebody who pays. */
export const User = entity('User', { key: 'user_id' })
/** Every payment,
 *   one a line.
 *
 * From the {@link https://example.com|shop}; see {@link payments}.
 * @see nothing of this
 * more of this
 */
export const payments = source('payments', { timestamp: 'at' })

// No doc comment.
/** The last one counts: */
/** Payments of the last hour. */
// biome-ignore lint: of no interest.
export const visits: unknown = ${PUSHED}
/** For the model. */
export const fraud_v1 = featureSet('fraud_v1', ['visits'])
`,
  })
  expect(found).toEqual({
    User: 'Somebody who pays.',
    payments: 'Every payment, one a line. From the shop; see payments.',
    visits: 'Payments of the last hour.',
    fraud_v1: 'For the model.',
  })
})

test('a description that is given stays, and comments of other things are none', async () => {
  const found = await descriptions({
    'features.ts': `${IMPORT}/** Not this. */
const limit = 5
export const User = entity('User', { key: 'user_id' })
/* No doc comment. */
export const plain = ${PUSHED}
/** Overruled. */
export const described = feature({ entity: User, type: 'int', description: 'Told.' })
/** @deprecated */
export const only_a_tag = ${PUSHED}
/** Makes features. */
const make = (n: number) => feature({ entity: User, type: 'int', tags: [\`\${n} /** not a comment */\`] })
export const made = make(1)
/** Made, and said so. */
export const made_too = make(2 / limit)
function later(/** of an argument */ text = /[/*"\`]/) {
  /** Within. */
  const inner = text
  return inner
}
export const after_all = (later(), ${PUSHED})
`,
  })
  expect(found).toEqual({
    ...{ User: null, plain: null, described: 'Told.', only_a_tag: null, made: null, made_too: 'Made, and said so.', after_all: null },
  })
})

test('it is found where the export is declared, under another name and in another module too', async () => {
  const found = await descriptions({
    'features.ts': `import { User } from './entities.ts'
import { spend as ours } from './lib/spend.ts'
import { feature } from 'fabra'
export { User }
export * from './lib/more.ts'
export { score as risk_score } from './lib/more.ts'
export { ours as spend }
/** Declared first, exported later. */
const visits = feature({ entity: User, type: 'int' })
export { visits as visit_count }
/** Named by itself. */
const odd = feature({ entity: User, type: 'int', name: 'odd' })
export default odd
`,
    'entities.ts': "import { entity } from 'fabra'\n/** A person. */\nexport const User = entity('User', { key: 'user_id' })\n",
    'lib/spend.ts': `import { feature } from 'fabra'\nimport { User } from '../entities.ts'\n/** What was spent. */\nexport let spend = ${PUSHED}\n`,
    'lib/more.ts': `import { feature } from 'fabra'\nimport { User } from '../entities.ts'\nexport * from './deep.js'\n/** A score. */\nconst score = ${PUSHED}\nexport { score }\n`,
    'lib/deep.js': `import { feature } from 'fabra'\nimport { User } from '../entities.ts'\n/** Deep down. */\nexport const depth = ${PUSHED}\n`,
  })
  expect(found).toMatchObject({
    ...{ User: 'A person.', spend: 'What was spent.', depth: 'Deep down.', visit_count: 'Declared first, exported later.' },
    odd: 'Named by itself.',
  })
  expect(found['score'] ?? found['risk_score']).toBe('A score.')
})

test('it is no part of what a feature is: its version stays when the comment changes', async () => {
  const fingerprint = async (comment: string) => {
    using project = projectFolder({
      'features.ts': `${IMPORT}export const User = entity('User', { key: 'id' })\n${comment}\nexport const a = feature({ entity: User, refresh: 0, type: 'int' }, () => 1)\n`,
    })
    const runtime = createRuntime({ files: [`${project.path}/features.ts`], log: () => undefined })
    try {
      const { registry, discard } = await runtime.load()
      discard()
      return registry.features.get('a')?.fingerprint
    } finally {
      await runtime.close()
    }
  }
  expect(await fingerprint('/** One. */')).toBe((await fingerprint('/** Two. */')) ?? '')
})
