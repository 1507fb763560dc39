import { randomBytes } from 'node:crypto'

/** 192 random bits in letters that stand in addresses and shells as they are. */
export function randomSecret(): string {
  return randomBytes(24).toString('base64url')
}
