import { randomBytes } from 'node:crypto'

/** 192 random bits in letters that stand in addresses, shells and command lines as they are, wherever they begin. */
export function randomSecret(): string {
  return randomBytes(24).toString('hex')
}
