import type { Entity, Feature, Source } from '../../src/definition/model.ts'

const described = { description: null, owner: null, tags: [], location: null }
export const User: Entity = { ...described, name: 'User', key: [{ name: 'user_id', type: 'string' }], keys: null }

/** A feature refreshed every five minutes, with one int. */
export function feature(facts: Partial<Feature> = {}): Feature {
  return {
    ...described,
    name: 'count_1h',
    entity: 'User',
    computation: { kind: 'function' },
    columns: [{ name: null, type: 'int' }],
    refresh: { kind: 'interval', every: 300e6 },
    maxStaleness: null,
    lookBack: null,
    defaults: null,
    timeout: null,
    keepWarm: null,
    keep: null,
    history: 'changes',
    inputs: {},
    uses: [],
    replay: false,
    version: null,
    batch: null,
    nan: 'error',
    clock: [],
    sameAs: null,
    fingerprint: 'f1',
    codeFingerprint: 'f1',
    ...facts,
  }
}

/** A source without times. */
export function source(name: string, facts: Partial<Source> = {}): Source {
  return {
    ...described,
    name,
    timestamp: null,
    delay: 0,
    available: null,
    until: null,
    id: null,
    timezone: 'UTC',
    static: false,
    file: null,
    columns: null,
    ...facts,
  }
}
