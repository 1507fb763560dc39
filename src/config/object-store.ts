/** Where archives and exports may go besides folders: a bucket of S3 or of what speaks as it does, reached by the variables that everything for AWS reads. */
import type { reader } from './readers.ts'

export interface ObjectStoreSettings {
  readonly endpoint: string
  readonly region: string
  /** Null: there are none. */
  readonly credentials: ObjectStoreCredentials | null
}

export interface ObjectStoreCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | null
}

export interface BucketPlace {
  readonly bucket: string
  /** Without slashes around it; empty: the whole bucket. */
  readonly prefix: string
}

export const CREDENTIALS_HINT = 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, where the keys are temporary).'

/** Nothing is judged that nothing needs: a shell may hold those of other projects. */
export function objectStoreSettings({ text }: ReturnType<typeof reader>): ObjectStoreSettings {
  const [accessKeyId, secretAccessKey] = [text('AWS_ACCESS_KEY_ID'), text('AWS_SECRET_ACCESS_KEY')]
  const region = text('AWS_REGION') ?? text('AWS_DEFAULT_REGION') ?? 'us-east-1'
  const sessionToken = text('AWS_SESSION_TOKEN') ?? null
  return {
    region,
    endpoint: text('AWS_ENDPOINT_URL') ?? `https://s3.${region}.amazonaws.com`,
    credentials: accessKeyId === undefined || secretAccessKey === undefined ? null : { accessKeyId, secretAccessKey, sessionToken },
  }
}

/** Of a bucket, as opposed to a folder. */
export function isBucketAddress(place: string): boolean {
  return /^s3:\/\//i.test(place)
}

/** Names as every store of the kind takes them, and as no address has to encode them. @returns null: it is none. */
export function bucketPlace(address: string): BucketPlace | null {
  const [, bucket, path = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w./=-]*))?$/i.exec(address) ?? []
  const parts = path.split('/').filter((part) => part !== '')
  if (bucket === undefined || parts.some((part) => /^\.+$/.test(part))) return null
  return { bucket, prefix: parts.join('/') }
}

/** What stands in the way of using it. */
export function bucketProblems(address: string, { endpoint, credentials }: ObjectStoreSettings): string[] {
  const protocol = URL.parse(endpoint)?.protocol
  return [
    ...(bucketPlace(address) === null ? [`"${address}" is no bucket with a path of plain names, such as s3://bucket/archive.`] : []),
    ...(protocol !== 'http:' && protocol !== 'https:' ? ['AWS_ENDPOINT_URL is not an http:// or https:// address.'] : []),
    ...(credentials === null ? [`It needs credentials. ${CREDENTIALS_HINT}`] : []),
  ]
}
