/** A real server of S3: moto's, from scripts/setup --test. It checks signatures and rights where it is told to. */
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { S3Client } from 'bun'
import type { ObjectStoreCredentials, ObjectStoreSettings } from '../../src/config/object-store.ts'
import { temporaryFolder } from './binary.ts'
import { freePort } from './ports.ts'
import { running, type TestServer } from './servers.ts'

const PROGRAM = join(import.meta.dir, '../../.bun/validators/bin/moto_server')
export const CREDENTIALS: ObjectStoreCredentials = {
  accessKeyId: 'AKIDOFTHETESTS00',
  secretAccessKey: 'secret-of-the-tests/+0123456789',
  sessionToken: 'session-of-the-tests',
}

export interface ObjectStore extends TestServer {
  settings(facts?: Partial<ObjectStoreSettings>): ObjectStoreSettings
  /** As a process is told of it. */
  readonly env: Readonly<Record<string, string>>
  makeBucket(name: string): Promise<S3Client>
  /** Makes a user who may do nothing. @returns the keys, which are real. */
  makeUser(name: string): Promise<ObjectStoreCredentials>
  /** From now on only those are let in whose signature is right, and only to what they may do. */
  askForRights(isOn: boolean): Promise<void>
}

export async function startObjectStore(): Promise<ObjectStore> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const ping = async () => void (await fetch(`${url}/moto-api/`))
  const command = [PROGRAM, '-H', '127.0.0.1', '-p', String(port)]
  const server = await running({ url, port, folder: temporaryFolder(), command, stopSignal: 'SIGINT', ping })
  const settings: ObjectStore['settings'] = (facts) => ({ endpoint: url, region: 'us-east-1', credentials: CREDENTIALS, ...facts })
  const iam = async (query: Readonly<Record<string, string>>) => {
    const scope = `Credential=${CREDENTIALS.accessKeyId}/20260101/us-east-1/iam/aws4_request`
    const headers = { authorization: `AWS4-HMAC-SHA256 ${scope}, SignedHeaders=host, Signature=0` }
    const body = new URLSearchParams([['Version', '2010-05-08'], ...Object.entries(query)])
    return (await fetch(url, { method: 'POST', headers, body })).text()
  }
  return {
    ...server,
    settings,
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      AWS_SESSION_TOKEN: CREDENTIALS.sessionToken ?? '',
    },
    async makeBucket(bucket) {
      await fetch(`${url}/${bucket}`, { method: 'PUT' })
      return new S3Client({ accessKeyId: CREDENTIALS.accessKeyId, secretAccessKey: CREDENTIALS.secretAccessKey, bucket, endpoint: url })
    },
    async makeUser(name) {
      await iam({ Action: 'CreateUser', UserName: name })
      const answer = await iam({ Action: 'CreateAccessKey', UserName: name })
      const textOf = (tag: string) => new RegExp(`<${tag}>([^<]+)<`).exec(answer)?.[1] ?? ''
      return { accessKeyId: textOf('AccessKeyId'), secretAccessKey: textOf('SecretAccessKey'), sessionToken: null }
    },
    async askForRights(isOn) {
      await fetch(`${url}/moto-api/reset-auth`, { method: 'POST', body: isOn ? '0' : 'inf' })
    },
  }
}

export interface Line extends AsyncDisposable {
  readonly url: string
  /** Cuts a connection that has sent so much; null: none. */
  cutAfter(bytes: number | null): void
  /** Lets nothing through either way. */
  hold(): void
}

/** Stands before a server and does what networks do. */
export async function startLine(to: { readonly port: number }): Promise<Line> {
  let limit: number | null = null
  let isHeld = false
  const sockets = new Set<Socket>()
  const server = createServer((inward) => {
    const outward = connect(to.port, '127.0.0.1')
    let sent = 0
    const end = () => {
      inward.destroy()
      outward.destroy()
    }
    for (const socket of [inward, outward]) {
      sockets.add(socket)
      socket.on('error', end).on('close', end)
    }
    inward.on('data', (data) => {
      sent += data.length
      if (limit !== null && sent > limit) end()
      else if (!isHeld) outward.write(data)
    })
    outward.on('data', (data) => {
      if (!isHeld) inward.write(data)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    cutAfter(bytes) {
      limit = bytes
    },
    hold() {
      isHeld = true
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
