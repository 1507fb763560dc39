import { JSON_HEADERS } from './error-response.ts'

export function jsonResponse(body: unknown): Response {
  return new Response(`${JSON.stringify(body)}\n`, { headers: JSON_HEADERS })
}
