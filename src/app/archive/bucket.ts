/** Files in a bucket of S3 or of what speaks as it does. An object is there whole or not at all: parts of an upload that was cut are no object. */
import { stat } from 'node:fs/promises'
import { S3Client } from 'bun'
import { bucketPlace, bucketProblems, type ObjectStoreSettings } from '../../config/object-store.ts'
import { FabraError } from '../../errors.ts'

/** Keys are below the place that was given. Every call ends by its deadline. @throws FabraError io_failed, which never tells a credential */
export interface Bucket {
  /** As users write it. */
  readonly address: string
  /** Replaces what was there. */
  put(key: string, text: string): Promise<void>
  /** Sent in parts where it is large; when it resolves, the object was looked at and is as long as the file. */
  upload(key: string, file: string): Promise<void>
  read(key: string): Promise<string>
  exists(key: string): Promise<boolean>
  /** All that begins so. */
  list(prefix: string): Promise<readonly ListedObject[]>
  /** Nothing happens where there is none. */
  remove(key: string): Promise<void>
}

export interface ListedObject {
  readonly key: string
  readonly ageMs: number
}

export interface BucketLimits {
  /** Of all but uploads. Default 15 s. */
  readonly callMs: number
  /** Of an upload, besides what its size takes at a slow line's pace. Default 60 s. */
  readonly uploadMs: number
  /** That one answer lists. Default 1,000, which is the most. */
  readonly listKeys: number
}

const LIMITS: BucketLimits = { callMs: 15_000, uploadMs: 60_000, listKeys: 1_000 }
/** Slower lines are taken for broken ones. */
const SLOWEST_BYTES_PER_MS = 128
const PART_BYTES = 8 * 2 ** 20
const PARTS_AT_ONCE = 4

/** @throws FabraError invalid_config where the address or the credentials are no good. */
export function openBucket(address: string, settings: ObjectStoreSettings, limits: BucketLimits = LIMITS): Bucket {
  const problems = bucketProblems(address, settings)
  const place = bucketPlace(address)
  if (problems.length > 0 || place === null || settings.credentials === null)
    throw new FabraError('invalid_config', `${address} cannot be used. ${problems.join(' ')}`, {
      hint: 'Correct or set these environment variables.',
    })
  const { bucket, prefix } = place
  const { accessKeyId, secretAccessKey, sessionToken } = settings.credentials
  const access = { accessKeyId, secretAccessKey, ...(sessionToken === null ? {} : { sessionToken }) }
  const client = new S3Client({ ...access, bucket, region: settings.region, endpoint: settings.endpoint })
  const full = (key: string) => (prefix === '' ? key : `${prefix}/${key}`)
  const own = (key: string) => (prefix === '' ? key : key.slice(prefix.length + 1))
  const call = <T>(work: Promise<T>, ms = limits.callMs) => inTime(work, ms, { bucket, endpoint: settings.endpoint })

  async function* pages(start: string) {
    for (let token: string | undefined, goesOn = true; goesOn; ) {
      const page = await call(
        client.list({ prefix: full(start), maxKeys: limits.listKeys, ...(token === undefined ? {} : { continuationToken: token }) }),
      )
      yield page.contents ?? []
      token = page.nextContinuationToken
      goesOn = page.isTruncated === true && token !== undefined
    }
  }

  return {
    address,
    put: async (key, text) => void (await call(client.write(full(key), text))),
    async upload(key, file) {
      const { size } = await stat(file)
      const options = { partSize: PART_BYTES, queueSize: PARTS_AT_ONCE }
      await call(client.write(full(key), Bun.file(file), options), limits.uploadMs + size / SLOWEST_BYTES_PER_MS)
      const { size: there } = await call(client.stat(full(key)))
      if (there !== size)
        throw new FabraError('io_failed', `The file did not come whole into the bucket "${bucket}".`, { hint: 'Write it again.' })
    },
    read: (key) => call(client.file(full(key)).text()),
    async exists(key) {
      // Looked for in a list, where it is the first: a list's errors have names, and those of looking at an object have none.
      const { contents } = await call(client.list({ prefix: full(key), maxKeys: 1 }))
      return contents?.[0]?.key === full(key)
    },
    async list(start) {
      const found: ListedObject[] = []
      for await (const page of pages(start))
        for (const { key, lastModified } of page)
          found.push({ key: own(key), ageMs: lastModified === undefined ? 0 : Date.now() - Date.parse(lastModified) })
      return found
    },
    remove: (key) => call(client.delete(full(key))),
  }
}

interface StorePlace {
  readonly bucket: string
  readonly endpoint: string
}

async function inTime<T>(work: Promise<T>, ms: number, place: StorePlace): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Late(`no answer within ${Math.ceil(ms)} ms`)), ms)
  try {
    return await Promise.race([work, late.promise])
  } catch (error) {
    throw error instanceof FabraError ? error : failure(error, place)
  } finally {
    clearTimeout(timer)
  }
}

class Late extends Error {
  readonly code = 'Timeout'
}

const KEYS_REFUSED = new Set(['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken', 'TokenRefreshRequired'])
const DENIED = new Set(['AccessDenied', 'AllAccessDisabled', 'AccountProblem', 'Forbidden'])
const ELSEWHERE = new Set(['PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException', 'TemporaryRedirect'])
const UNREACHABLE = /^(?:Timeout|Connection\w*|DNS\w*|FailedToOpenSocket|ERR_S3_CONNECTION\w*|ERR_TLS\w*|\w*CERT\w*|HTTPSProxy\w*)$/

/** What the store says is not repeated: it may say the credentials. Only its word for it is. */
function failure(error: unknown, { bucket, endpoint }: StorePlace): FabraError {
  const given = (error as { readonly code?: unknown } | null)?.code
  const code = typeof given === 'string' && /^\w{1,60}$/.test(given) ? given : 'unknown'
  const failed = (message: string, hint: string) => new FabraError('io_failed', `${message} (${code})`, { hint, cause: error })
  if (code === 'NoSuchBucket') return failed(`There is no bucket "${bucket}".`, 'Make it first, or name another; look at AWS_REGION.')
  if (code === 'NoSuchKey') return failed(`An object of the bucket "${bucket}" is not there any more.`, 'Try it again.')
  if (KEYS_REFUSED.has(code))
    return failed(`The store of the bucket "${bucket}" does not take the credentials.`, 'Look at AWS_ACCESS_KEY_ID and those beside it.')
  if (DENIED.has(code))
    return failed(
      `The bucket "${bucket}" may not be used with these credentials.`,
      'They need s3:ListBucket of the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject of what is in it.',
    )
  if (ELSEWHERE.has(code)) return failed(`The bucket "${bucket}" is in another region.`, 'Set AWS_REGION to that of the bucket.')
  const at = URL.parse(endpoint)?.host ?? 'the address'
  if (UNREACHABLE.test(code))
    return failed(`The store at ${at} cannot be reached.`, 'Look at AWS_ENDPOINT_URL, AWS_REGION and the network.')
  return failed(`The bucket "${bucket}" at ${at} could not be used.`, 'Try it again; the log has what the store said.')
}
