import { expect, test } from 'bun:test'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { clearTrainingFolders, makeTrainingFolder } from '../../src/store/duckdb/training/folders.ts'
import { temporaryFolder } from '../support/binary.ts'

test('folders that killed processes have left are removed; those of running ones, of other machines and of others stay', async () => {
  const parent = temporaryFolder()
  try {
    const own = (await makeTrainingFolder(parent)).slice(parent.length + 1)
    const child = Bun.spawn(['true'])
    await child.exited
    const dead = own.replace(`-${process.pid}-`, `-${child.pid}-`)
    const stays = [own, own.replace(`-${process.pid}-`, '-1-'), `fabra-training-otherhost-${child.pid}-x`, 'fabra-training-mine', 'else']
    for (const name of [dead, ...stays]) mkdirSync(join(parent, name), { recursive: true })
    writeFileSync(join(parent, dead, 'values.parquet'), 'large')
    await clearTrainingFolders(parent)
    expect(readdirSync(parent).sort()).toEqual([...stays].sort())
  } finally {
    rmSync(parent, { recursive: true, force: true })
  }
})
