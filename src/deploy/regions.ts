import { FabraError, suggest } from '../errors.ts'

export interface Regions {
  readonly fallback: string
  readonly all: readonly string[]
}

type Cloud = 'fly' | 'cloudrun' | 'ecs' | 'render' | 'railway'
/** In the order of `Cloud`; null where a platform has nothing near. */
type RegionNames = readonly (string | null)[]

const CLOUDS: readonly Cloud[] = ['fly', 'cloudrun', 'ecs', 'render', 'railway']

/** The same place in the words of each platform, so that one `--region` fits all. The first row that has a word decides. */
const REGIONS: readonly RegionNames[] = [
  ['iad', 'us-east4', 'us-east-1', 'virginia', 'us-east4-eqdc4a'],
  ['ord', 'us-central1', 'us-east-2', 'ohio', null],
  ['sjc', 'us-west1', 'us-west-2', 'oregon', 'us-west2'],
  ['lax', 'us-west2', 'us-west-1', 'oregon', 'us-west2'],
  ['ams', 'europe-west4', 'eu-west-1', 'frankfurt', 'europe-west4-drams3a'],
  ['fra', 'europe-west3', 'eu-central-1', 'frankfurt', 'europe-west4-drams3a'],
  ['lhr', 'europe-west2', 'eu-west-2', 'frankfurt', 'europe-west4-drams3a'],
  ['cdg', 'europe-west9', 'eu-west-3', 'frankfurt', 'europe-west4-drams3a'],
  ['arn', 'europe-north1', 'eu-north-1', 'frankfurt', 'europe-west4-drams3a'],
  ['sin', 'asia-southeast1', 'ap-southeast-1', 'singapore', 'asia-southeast1-eqsg3a'],
  ['nrt', 'asia-northeast1', 'ap-northeast-1', null, null],
  ['syd', 'australia-southeast1', 'ap-southeast-2', null, null],
  ['bom', 'asia-south1', 'ap-south-1', null, null],
  ['gru', 'southamerica-east1', 'sa-east-1', null, null],
  ['yyz', 'northamerica-northeast2', 'ca-central-1', null, null],
  ['jnb', 'africa-south1', 'af-south-1', null, null],
]

/** What each platform offers beyond those places. */
const MORE: Readonly<Record<Cloud, readonly string[]>> = {
  fly: ['dfw', 'ewr'],
  cloudrun: [
    'us-east1',
    'us-east5',
    'us-south1',
    'us-west3',
    'us-west4',
    'northamerica-northeast1',
    'southamerica-west1',
    'europe-central2',
    'europe-southwest1',
    'europe-west1',
    'europe-west6',
    'europe-west8',
    'europe-west10',
    'europe-west12',
    'asia-east1',
    'asia-east2',
    'asia-northeast2',
    'asia-northeast3',
    'asia-south2',
    'asia-southeast2',
    'australia-southeast2',
    'me-central1',
    'me-west1',
  ],
  ecs: [
    'ca-west-1',
    'eu-south-1',
    'eu-central-2',
    'ap-northeast-2',
    'ap-northeast-3',
    'ap-south-2',
    'ap-southeast-3',
    'ap-east-1',
    'me-south-1',
    'me-central-1',
    'il-central-1',
  ],
  render: [],
  railway: [],
}

export function regionsOf(cloud: Cloud, fallback: string): Regions {
  const column = CLOUDS.indexOf(cloud)
  const near = REGIONS.flatMap((place) => place[column] ?? [])
  return { fallback, all: [...new Set([...near, ...MORE[cloud]])].sort() }
}

/**
 * @param given As the user wrote it: a region of this platform, or another platform's word for the same place.
 * @returns the region in this platform's words.
 * @throws FabraError bad_usage with the list.
 */
export function resolveRegion(cloud: string, title: string, regions: Regions, given: string | undefined): string {
  if (given === undefined) return regions.fallback
  const word = given.trim().toLowerCase()
  if (regions.all.includes(word)) return word
  const column = (CLOUDS as readonly string[]).indexOf(cloud)
  const same = REGIONS.find((place) => place.includes(word))?.[column]
  if (same) return same
  throw new FabraError('bad_usage', `${title} has no region "${given}".`, {
    hint: `${suggest(word, regions.all).startsWith('Did') ? `${suggest(word, regions.all)} ` : ''}Its regions: ${regions.all.join(', ')}.`,
  })
}
