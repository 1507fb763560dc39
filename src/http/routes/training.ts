import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { stringifyExact } from '../../definition/exact-json.ts'
import { formatTime } from '../../definition/time.ts'
import { FabraError } from '../../errors.ts'
import type { LabelFormat, Labels, OutputFormat } from '../../store/ports/training-store.ts'
import type { TrainingJob, TrainingReport, TrainingSet } from '../../training/job.ts'
import { queryOf } from '../address.ts'
import { bodyPieces, decodeUtf8, isObject, notJson } from '../body.ts'
import { JSON_HEADERS, requestId } from '../error-response.ts'
import { previewOf } from '../insight/preview.ts'
import { jsonResponse } from '../json-response.ts'
import { labelFormat } from '../label-format.ts'
import { cancelTrainingDoc, trainingReportDoc, trainingSetDoc, trainingSetsDoc } from '../openapi/training.ts'
import type { HttpOptions } from '../options.ts'
import { parameters } from '../query.ts'
import type { Call, Route } from '../route.ts'
import { readTrainingRequest, type TrainingRequest } from '../training-request.ts'
import type { TrainingSetSummary, TrainingSets } from '../wire.ts'

/** Largest request of JSON, which is held in memory; files are not. */
const MAX_JSON_BYTES = 256 * 1024 * 1024
const SEND_BYTES = 256 * 1024
const CONTENT_TYPES: Readonly<Record<OutputFormat, string>> = {
  parquet: 'application/vnd.apache.parquet',
  arrow: 'application/vnd.apache.arrow.file',
  csv: 'text/csv; charset=utf-8',
  jsonl: 'application/x-ndjson',
}

export function trainingRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/training-sets',
      scope: 'read',
      confinable: true,
      further: { scope: 'train', where: 'labels_sql is given' },
      docs: trainingSetDoc,
      answer(call) {
        // The first byte is sent when the last row is done.
        call.server?.timeout(call.request, 0)
        return trainingSet(options, call)
      },
    },
    {
      method: 'GET',
      path: '/v1/training-sets/:id',
      scope: 'read',
      confinable: true,
      docs: trainingReportDoc,
      answer: (call) => jsonResponse(reportJson(reportOf(options, call.param('id')))),
    },
    {
      method: 'DELETE',
      path: '/v1/training-sets/:id',
      scope: 'read',
      confinable: true,
      further: { scope: 'admin', where: 'another key asked for the set' },
      docs: cancelTrainingDoc,
      answer: (call) => cancel(options, call),
    },
    {
      method: 'GET',
      path: '/v1/training-sets',
      scope: 'read',
      confinable: true,
      docs: trainingSetsDoc,
      answer: () => jsonResponse({ training_sets: options.training.list().map(summaryJson) } satisfies TrainingSets),
    },
  ]
}

async function trainingSet(options: HttpOptions, call: Call): Promise<Response> {
  const { request } = call
  const id = requestId(request)
  const isLook = parameters(queryOf(request)).has('limit')
  const job = await (isLook ? options.training.beginLook() : options.training.begin({ id, owner: call.caller }))
  try {
    const { training, labels } = await readRequest(call, job)
    if (training.options.sample !== null && !isLook)
      throw new FabraError('invalid_body', '"limit" stands in the body.', { hint: 'Write it in the address: /v1/training-sets?limit=50.' })
    if (training.explain) return await explanation(job, labels, training, request)
    if (labels === null) throw new FabraError('invalid_labels', 'The labels are empty.', { hint: 'The first line must name the columns.' })
    if (isLook) return await preview(options, { job, labels, training }, request)
    const set = await job.build(labels, training.options, request.signal)
    return await send(job, set, training.options.format, id)
  } catch (error) {
    await job.close()
    throw error
  }
}

async function explanation(job: TrainingJob, labels: Labels | null, training: TrainingRequest, request: Request): Promise<Response> {
  const explained = await job.explain(labels, training.options, request.signal)
  await job.close()
  return new Response(`${JSON.stringify(explained)}\n`, { headers: JSON_HEADERS })
}

interface PreviewRequest {
  readonly job: TrainingJob
  readonly labels: Labels
  readonly training: TrainingRequest
}

async function preview(options: HttpOptions, { job, labels, training }: PreviewRequest, request: Request): Promise<Response> {
  const asked = { ...training.options, format: 'jsonl' as const, withStatus: true, withEventTimestamp: false, fresh: true }
  const set = await job.build(labels, asked, request.signal)
  const previewed = await previewOf(options, set, asked)
  await job.close()
  return jsonResponse(previewed)
}

/** Of one that another key asked for, those who administer alone may. */
function cancel(options: HttpOptions, call: Call): Response {
  const { id, owner } = reportOf(options, call.param('id'))
  if (owner !== call.caller) call.demandFurther()
  options.training.cancel(id)
  return jsonResponse(reportJson(reportOf(options, id)))
}

/** The file goes on being readable through its handle when the job's folder is gone. */
async function send(job: TrainingJob, set: TrainingSet, format: OutputFormat, id: string): Promise<Response> {
  const handle = await open(set.path)
  const { size } = await handle.stat()
  await job.close()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(SEND_BYTES), 0, SEND_BYTES)
      if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead))
      await handle.close()
      await set.delivered()
      controller.close()
    },
    cancel: () => handle.close(),
  })
  return new Response(body, {
    headers: {
      'content-type': CONTENT_TYPES[format],
      'content-length': String(size),
      'content-disposition': `attachment; filename="training-set.${format}"`,
      'x-request-id': id,
      'x-fabra-dataset-hash': set.report.datasetHash ?? '',
      'x-fabra-rows': String(set.report.rows ?? 0),
    },
  })
}

/** The labels are the body, with options in the address; or the body is a JSON object with both. */
async function readRequest(call: Call, job: TrainingJob): Promise<{ training: TrainingRequest; labels: Labels | null }> {
  const { request } = call
  const params = parameters(queryOf(request))
  const given = Object.fromEntries(params)
  const upload = join(job.folder, 'upload')
  const size = await receive(request, upload)
  const format = await formatOf(upload, request, params)
  if (format !== 'json') {
    const training = allowed(call, readTrainingRequest(given, true))
    if (training.labelsSql === null) return { training, labels: size === 0 ? null : { format, path: upload } }
    if (size > 0) throw new FabraError('invalid_body', 'Both labels and labels_sql are given.', { hint: 'Give one of them.' })
    return { training, labels: { sql: training.labelsSql } }
  }
  if (size > MAX_JSON_BYTES) {
    throw new FabraError('body_too_large', `The JSON has ${size} bytes, more than ${MAX_JSON_BYTES}.`, {
      hint: 'Send the labels as Parquet, CSV or JSON lines.',
    })
  }
  const training = allowed(call, readTrainingRequest({ ...given, ...(await jsonObject(upload)) }, false))
  if (training.labelsSql !== null) return { training, labels: { sql: training.labelsSql } }
  return { training, labels: training.rows === null ? null : await writeRows(training, job) }
}

/** A query of the client's own needs more than labels that it has. @throws FabraError forbidden */
function allowed(call: Call, training: TrainingRequest): TrainingRequest {
  if (training.labelsSql !== null) call.demandFurther()
  return training
}

async function jsonObject(path: string): Promise<Record<string, unknown>> {
  const { parseDistinct } = await import('../../definition/exact-json.ts')
  const text = decodeUtf8(await Bun.file(path).bytes())
  let body: unknown
  try {
    body = parseDistinct(text)
  } catch {
    throw notJson(text, 'Send {"features": […], "rows": […]}, or a Parquet, CSV or JSON-lines file.')
  }
  if (isObject(body)) return body
  throw new FabraError('invalid_body', 'The body is not a JSON object.', { hint: 'Send {"features": […], "rows": […]}.' })
}

/** Rows of the body as a file of JSON lines; no rows at all still have the columns that the features need. */
async function writeRows(training: TrainingRequest, job: TrainingJob): Promise<Labels> {
  const rows = training.rows ?? []
  const path = join(job.folder, 'rows.jsonl')
  const writer = Bun.file(path).writer()
  rows.forEach((row, i) => {
    if (!isObject(row))
      throw new FabraError('invalid_body', `Row ${i} is not an object.`, { hint: 'A row names its columns: {"user_id": "u1", …}.' })
    writer.write(`${stringifyExact(row)}\n`)
  })
  await writer.end()
  if (rows.length > 0) return { format: 'jsonl', path }
  return { format: 'csv', path: await emptyLabels(training, job) }
}

async function emptyLabels(training: TrainingRequest, job: TrainingJob): Promise<string> {
  const path = join(job.folder, 'rows.csv')
  await Bun.write(path, `${[...new Set([...job.columnsFor(training.options.features), training.options.timestamp])].join(',')}\n`)
  return path
}

async function receive(request: Request, path: string): Promise<number> {
  const writer = Bun.file(path).writer()
  let size = 0
  for await (const chunk of bodyPieces(request)) {
    size += chunk.byteLength
    writer.write(chunk)
    await writer.flush()
  }
  await writer.end()
  return size
}

/** An object with everything names no features in the address. */
function formatOf(path: string, request: Request, params: URLSearchParams): Promise<LabelFormat | 'json'> {
  const isJsonLines = (type: string) => params.has('features') || params.has('feature_set') || /ndjson|jsonl|json-?lines/.test(type)
  return labelFormat(path, request.headers.get('content-type') ?? '', isJsonLines)
}

function reportOf(options: HttpOptions, id: string): TrainingReport {
  const found = options.training.report(id)
  if (!found)
    throw new FabraError('not_found', `No training set "${id.slice(0, 80)}".`, {
      hint: 'Its id is the x-request-id of the request that made it; the last hundred are kept.',
    })
  return found
}

function reportJson(found: TrainingReport): object {
  return {
    id: found.id,
    state: found.state,
    progress: found.progress,
    rows: found.rows,
    resumed: found.resumed,
    dataset_hash: found.datasetHash,
    features: found.features,
    summary: found.summary,
    warnings: found.warnings,
    pace: found.pace && {
      feature: found.pace.feature,
      rows: found.pace.rows,
      rows_per_second: found.pace.rowsPerSecond,
      seconds_left: found.pace.secondsLeft,
    },
    metadata: found.metadata,
  }
}

function summaryJson({ pace, error, ...found }: TrainingReport): TrainingSetSummary {
  return {
    id: found.id,
    state: found.state,
    progress: found.progress,
    began_at: formatTime(found.beganAt),
    finished_at: found.finishedAt === null ? null : formatTime(found.finishedAt),
    rows: found.rows,
    features: found.features.map(({ feature }) => feature),
    dataset_hash: found.datasetHash,
    error: error && { code: error.code, message: error.message },
    warnings: found.warnings.length,
    seconds_left: pace?.secondsLeft ?? null,
    has_samples: found.samples.length > 0,
  }
}
