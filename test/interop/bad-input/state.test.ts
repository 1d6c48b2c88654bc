import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

/** Overwrites a file with its mode kept. */
const damage = (path: string, content: string | Uint8Array) =>
  Effect.sync(() => writeFileSync(path, content, { mode: 0o600 }))

const start = (network: PilotNetwork.PilotNetwork, name: string) =>
  PilotProcesses.pilotctl(network.home(name), ["--json", "daemon", "start", ...PilotNetwork.flagsOf(network, name)])

const stop = (home: string) => Pilotctl.run(home, "daemon", "stop")

const DAMAGED: ReadonlyArray<readonly [file: string, content: string, hint: RegExp]> = [
  ["identity.key", "garbage", /restore .*identity\.key from a backup/],
  ["identity.key", "", /restore .*identity\.key from a backup/],
  ["pins.json", "{not json", /restore it from a backup/],
  ["pins.json", '{"nodes": 7}', /restore it from a backup/]
]

describe("state on disk that is not what it should be", () => {
  it.live(
    "a damaged file keeps the node from starting, says how to mend it, and is left as it is",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const [alice, bob] = yield* PilotNetwork.startPair(network, "alice", "bob")
        yield* stop(alice.home)
        for (const [file, content, hint] of DAMAGED) {
          const path = `${alice.home}/${file}`
          const good = readFileSync(path)
          yield* damage(path, content)

          const outcome = yield* start(network, "alice")

          assert.strictEqual(outcome.exitCode, 1, `${file} with ${JSON.stringify(content)}`)
          const error = PilotProcesses.errorOf(outcome)
          const about = `${file} with ${JSON.stringify(content)}: ${JSON.stringify(error)}`
          assert.strictEqual(error.code, "internal", about)
          assert.include(error.message, file, about)
          assert.match(error.hint ?? "", hint, about)
          assert.strictEqual(readFileSync(path, "utf8"), content, about)
          yield* damage(path, good)
        }

        const mended = yield* PilotNetwork.startDaemon(network, "alice")
        assert.deepStrictEqual([mended.address, mended.fingerprint], [alice.address, alice.fingerprint])
        const echoed = yield* Pilotctl.run(alice.home, "send", bob.address, "7", "--data", "trusted still")
        assert.include(JSON.stringify(echoed), "trusted still")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("a damaged trust list trusts nobody, and a copy of it is kept (node §2.5)", () =>
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      const [alice] = yield* PilotNetwork.startPair(network, "alice", "bob")
      yield* stop(alice.home)
      yield* damage(`${alice.home}/trust.json`, "{half of it")

      yield* PilotNetwork.startDaemon(network, "alice")

      assert.deepStrictEqual(yield* trusted(alice.home), { trusted: [] })
      assert.strictEqual(readFileSync(`${alice.home}/trust.json.unreadable`, "utf8"), "{half of it")
      assert.include(readFileSync(`${alice.home}/pilot.log`, "utf8"), "trust.json.unreadable")
    }).pipe(Effect.scoped)
  )

  it.live("an identity that others may read is refused, with what to do", () =>
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      const { home } = yield* PilotNetwork.startDaemon(network, "alice")
      yield* stop(home)
      chmodSync(`${home}/identity.key`, 0o644)

      const error = PilotProcesses.errorOf(yield* start(network, "alice"))

      assert.strictEqual(error.code, "internal")
      assert.include(error.message, `${home}/identity.key`)
      assert.include(error.hint ?? "", `chmod 600 ${home}/identity.key`)
    }).pipe(Effect.scoped)
  )

  it.live("a damaged registry database is refused with advice, and not overwritten", () =>
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      yield* Pilotctl.run(network.rendezvous, "rendezvous", "stop")
      const store = `${network.rendezvous}/rendezvous.db`
      const content = Buffer.from("this is no database ".repeat(500))
      yield* damage(store, content)

      const outcome = yield* PilotProcesses.pilotctl(network.rendezvous, [
        ...["--json", "rendezvous", "start", "--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"]
      ])

      const error = PilotProcesses.errorOf(outcome)
      assert.strictEqual(error.code, "internal")
      assert.include(error.message, store)
      assert.match(error.hint ?? "", /backup/)
      assert.isTrue(readFileSync(store).equals(content))
    }).pipe(Effect.scoped)
  )
})

describe("kill -9", () => {
  it.live(
    "of rendezvous, daemon and keeper: all come back with identity, address, name, trust and services",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const [alice, bob] = yield* PilotNetwork.startPair(network, "alice", "bob")
        yield* Pilotctl.run(alice.home, "mcp", "expose", "tool", "--allow", "bob", "--", process.execPath, "--version")
        const before = { trust: yield* trusted(alice.home), services: yield* services(alice.home) }

        for (const pid of PilotProcesses.living(network.directory)) yield* PilotProcesses.killNow(pid)
        const { beacon, fingerprint, registry } = network.card
        const card = yield* Pilotctl.startRendezvous(
          network.rendezvous,
          ...["--registry-addr", registry, "--beacon-addr", beacon]
        )
        assert.strictEqual(card.fingerprint, fingerprint)
        // Without flags for name and keys: what the registry and the state directory know must do.
        const [again, other] = yield* Effect.all(
          [PilotNetwork.startDaemon(network, "alice"), PilotNetwork.startDaemon(network, "bob")],
          { concurrency: 2 }
        )

        const idOf = ({ address, fingerprint: key, node }: PilotNetwork.Daemon) => ({ address, key, node })
        assert.deepStrictEqual(idOf(again), idOf(alice))
        assert.deepStrictEqual(idOf(other), idOf(bob))
        assert.deepStrictEqual({ trust: yield* trusted(alice.home), services: yield* services(alice.home) }, before)
        const echoed = yield* Pilotctl.run(alice.home, "send", "bob", "7", "--data", "after the fall")
        assert.include(JSON.stringify(echoed), "after the fall")
      }).pipe(Effect.scoped),
    60_000
  )
})

const trusted = (home: string) => Pilotctl.run(home, "trust", "list")
const services = (home: string) => Pilotctl.run(home, "mcp", "services")

describe("a full disk", () => {
  // Only root may mount a disk of its own; others see this test as skipped.
  it.live.runIf(mayMount())(
    "ends in a clear error, and what was stored stays",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const home = network.home("alice")
        yield* mounted(home)
        const bob = yield* PilotNetwork.startDaemon(network, "bob")
        const alice = yield* PilotNetwork.startDaemon(network, "alice")
        yield* PilotNetwork.trust(alice, bob)
        const before = STORED.map((file) => readFileSync(`${home}/${file}`, "utf8"))
        yield* fill(home)

        const outcome = yield* PilotProcesses.pilotctl(home, ["--json", "set-hostname", "another"])

        const error = PilotProcesses.errorOf(outcome)
        assert.match(error.message, /no space|ENOSPC/i, JSON.stringify(error))
        assert.deepStrictEqual(
          STORED.map((file) => readFileSync(`${home}/${file}`, "utf8")),
          before
        )
        const echoed = yield* Pilotctl.run(home, "send", bob.address, "7", "--data", "running still")
        assert.include(JSON.stringify(echoed), "running still")

        yield* stop(home)
        const refused = yield* start(network, "alice")
        if (refused.exitCode !== 0) assert.match(PilotProcesses.errorOf(refused).message, /no space|ENOSPC|full/i)
        if (refused.exitCode === 0) yield* stop(home)
        yield* Effect.sync(() => writeFileSync(`${home}/filler`, ""))
        const again = yield* PilotNetwork.startDaemon(network, "alice")
        assert.deepStrictEqual([again.address, again.fingerprint], [alice.address, alice.fingerprint])
        assert.include(JSON.stringify(yield* trusted(home)), bob.fingerprint)
      }).pipe(Effect.scoped),
    60_000
  )
})

const STORED = ["identity.key", "trust.json", "pins.json"]

/** A disk of its own at that path. */
const mounted = (path: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => {
        mkdirSync(path, { mode: 0o700 })
        mount(path)
      }),
      () =>
        Effect.andThen(
          PilotProcesses.killAll(path),
          Effect.sync(() => unmount(path))
        )
    )
  )

function mayMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), "mount-"))
  const isMounted = mount(path)
  if (isMounted) unmount(path)
  rmdirSync(path)
  return isMounted
}

function mount(path: string): boolean {
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=512k,mode=0700", "pilot", path])
  return status === 0
}

function unmount(path: string): void {
  spawnSync("umount", [path])
}

/** Writes until nothing more fits. */
const fill = (home: string) =>
  Effect.sync(() => {
    for (const piece of [4096, 1])
      for (let count = 0; count < 1024; count++) {
        try {
          writeFileSync(`${home}/filler`, Buffer.alloc(piece), { flag: "a" })
        } catch {
          break
        }
      }
  })
