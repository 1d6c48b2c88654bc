import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as PolicyActor from "../../../src/actors/policy/PolicyActor.ts"
import * as PolicySource from "../../../src/actors/policy/PolicySource.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../../src/testing/VirtualFileSystem.ts"

const HOME = "/home"
const FILE = `${HOME}/policy.jsonc`
const DENIES = `{ "version": 1, "rules": [{ "effect": "deny", "who": ["trusted"], "what": ["echo"] }] }`

/** A disk whose changes nobody is told of. */
const silent = (): FileSystem.FileSystem => {
  const disk = new MemoryDisk()
  disk.root.entries.set("home", disk.makeDirectory(0o700))
  const watch: FileSystem.FileSystem["watch"] = (_, options) =>
    Stream.unwrap(
      Effect.sync(() => {
        options?.onReady?.()
        return Stream.never
      })
    )
  return { ...VirtualFileSystem.make(disk, () => true), watch }
}

const options = (loaded: PolicySource.Loaded): PolicyActor.Options => ({
  home: HOME,
  knowledge: {
    pinned: () => undefined,
    former: () => [],
    names: () => new Map(),
    isTrusted: () => false,
    fingerprint: () => "",
    network: () => 0
  },
  trail: { record: () => {}, isRefusing: () => false },
  report: () => {},
  loaded
})

describe("PolicyActor", () => {
  it.effect("takes what was written between its first look at the file and the beginning of its watch", () =>
    Effect.gen(function* () {
      const files = silent()
      const loaded = yield* Effect.provideService(PolicySource.load(FILE), FileSystem.FileSystem, files)
      yield* files.writeFileString(FILE, DENIES)
      const running = yield* Effect.provideService(PolicyActor.start(options(loaded)), FileSystem.FileSystem, files)
      assert.lengthOf(running.status().policy.rules, 0)
      yield* TestClock.adjust("1 second")

      assert.lengthOf(running.status().policy.rules, 1)
    }).pipe(Effect.scoped)
  )
})
