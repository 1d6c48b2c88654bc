/** Events between daemons that are killed meanwhile, and the commands of the reference beside them. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { Events, Pilot } from "effect-pilot"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

/** `npm run soak` asks for more. */
const CRASHES = Number(process.env["EVENT_CRASHES"] ?? 10)
const PATTERN = "data.*"

interface Line {
  readonly broker: string
  readonly data?: string
  readonly notice?: string
  readonly sequence?: number
}

/** `events subscribe --consumer`, as a process; `lines` is everything that it and those before it have printed. */
const subscriber = Effect.fnUntraced(function* (
  home: string,
  printed: Array<() => string>
): Effect.fn.Return<PilotProcesses.Watched, never, Scope.Scope> {
  const args = ["--json", "events", "subscribe", "--topic", PATTERN, "--consumer", "reporter"]
  const watched = yield* PilotProcesses.watch(process.execPath, [Pilotctl.PROGRAM, ...args], Pilotctl.environment(home))
  printed.push(watched.output)
  return watched
})

const linesOf = (printed: ReadonlyArray<() => string>): ReadonlyArray<Line> =>
  printed.flatMap((output) =>
    output()
      .split("\n")
      // The last one may be half there.
      .slice(0, -1)
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line))
  )

/** Publishes numbers without a stop; those that were acknowledged are noted with their sequence number. */
const publishing = (home: string, acknowledged: Map<string, number>) =>
  Effect.gen(function* () {
    for (let index = 1; ; index++) {
      const published = yield* Effect.result(Events.publish("data.number", String(index)))
      if (published._tag === "Success" && published.success !== undefined)
        acknowledged.set(String(index), published.success)
      yield* Effect.sleep(published._tag === "Success" ? "5 millis" : "100 millis")
    }
  }).pipe(Effect.provide(Pilot.layerDaemon({ home })))

const heardFrom = (printed: ReadonlyArray<() => string>, broker: string) => {
  const heard = new Map<number, string>()
  for (const { broker: from, data, sequence } of linesOf(printed)) {
    if (from !== broker || data === undefined || sequence === undefined) continue
    assert.strictEqual(heard.get(sequence) ?? data, data, `number ${sequence} has two events`)
    heard.set(sequence, data)
  }
  return heard
}

describe("events between processes", { timeout: 60_000 + CRASHES * 12_000 }, () => {
  it.live("what was acknowledged is heard, whichever of publisher, subscriber and their daemons is killed", () =>
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      const flags = ["--keepalive", "1s"]
      const start = (name: string) => PilotNetwork.startDaemon(network, name, ...flags)
      const daemons = yield* Effect.all({ alice: start("alice"), bob: start("bob") }, { concurrency: 2 })
      yield* PilotNetwork.trust(daemons.bob, daemons.alice)
      const [printed, acknowledged]: [Array<() => string>, Map<string, number>] = [[], new Map()]
      let listening = yield* subscriber(daemons.bob.home, printed)
      const joined = (count: number) => linesOf(printed).filter(({ notice }) => notice === "joined").length >= count
      yield* PilotProcesses.until(Effect.sync(() => joined(2)))
      yield* Effect.forkScoped(publishing(daemons.alice.home, acknowledged))

      for (let crash = 0; crash < CRASHES; crash++) {
        const target = acknowledged.size + 20
        yield* PilotProcesses.until(Effect.sync(() => acknowledged.size >= target))
        if (crash % 3 === 2) {
          listening.child.kill("SIGKILL")
          listening = yield* subscriber(daemons.bob.home, printed)
          continue
        }
        const name = crash % 3 === 0 ? "alice" : "bob"
        yield* PilotProcesses.killNow(daemons[name].pid)
        daemons[name] = yield* start(name)
      }
      const isHeard = () => {
        const heard = heardFrom(printed, daemons.alice.address)
        return [...acknowledged].every(([data, sequence]) => heard.get(sequence) === data)
      }
      const target = acknowledged.size + 5
      yield* PilotProcesses.until(Effect.sync(() => acknowledged.size >= target && isHeard()))
    }).pipe(Effect.scoped)
  )

  it.live("the commands of the reference, its webhook, and a listener that knows nobody", () =>
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      const hooks: Array<string> = []
      const http = createServer((request, response) => {
        request.on("data", (chunk: Buffer) => hooks.push(chunk.toString()))
        request.on("end", () => response.end())
      })
      yield* Effect.callback<void>((resume) => void http.listen(0, "127.0.0.1", () => resume(Effect.void)))
      yield* Effect.addFinalizer(() => Effect.sync(() => http.close()))
      const [alpha, bravo] = yield* PilotNetwork.startPair(network, "alpha", "bravo")
      const alphaSays = (...args: ReadonlyArray<string>) => PilotProcesses.pilotctl(alpha.home, args)

      const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/a`
      const set = yield* PilotProcesses.pilotctl(bravo.home, ["set-webhook", url])
      assert.strictEqual(set.stdout, `webhook set: ${url}\napplied to running daemon\n`)
      const counted = ["--json", "subscribe", "bravo", "news", "--count", "2", "--timeout", "60s"]
      const hearing = yield* PilotProcesses.watch(
        process.execPath,
        [Pilotctl.PROGRAM, ...counted],
        Pilotctl.environment(alpha.home)
      )
      const everything = yield* PilotProcesses.watch(
        process.execPath,
        [Pilotctl.PROGRAM, "events", "subscribe", "--topic", "*", "--count", "3"],
        Pilotctl.environment(alpha.home)
      )
      yield* PilotProcesses.until(
        Effect.map(
          PilotProcesses.pilotctl(bravo.home, ["--json", "events", "status"]),
          ({ stdout }) => /"pattern":"news".*/.test(stdout) && /"pattern":"\*"/.test(stdout)
        )
      )
      const first = yield* alphaSays("--json", "publish", "bravo", "news", "--data", "first")
      assert.strictEqual(
        first.stdout,
        `{"data":{"bytes":5,"target":"${bravo.address}","topic":"news"},"status":"ok"}\n`
      )
      const own = yield* PilotProcesses.pilotctl(bravo.home, [
        ...["--json", "events", "publish", "--topic", "news", "--data", "second"]
      ])
      assert.match(own.stdout, /"sequence":2,"target":/)
      const other = yield* alphaSays("publish", "bravo", "other", "--data", "third")
      assert.include(other.stdout, '"topic": "other"')
      assert.strictEqual(yield* hearing.exited, 0)
      assert.strictEqual(
        hearing.output(),
        '{"data":{"events":[{"bytes":5,"data":"first","topic":"news"},' +
          '{"bytes":6,"data":"second","topic":"news"}],"timeout":false},"status":"ok"}\n'
      )
      assert.strictEqual(yield* everything.exited, 0)
      assert.include(everything.output(), "[news] first\n[news] second\n[other] third\n")

      yield* PilotProcesses.until(Effect.sync(() => hooks.some((body) => body.includes('"pubsub.published"'))))
      const published = hooks.find((body) => body.includes('"pubsub.published"')) ?? ""
      assert.match(published, /"data":\{"from":"0:0000\.0000\.\d{4}:\d+","size":5,"topic":"news"\}\}$/)
      const none = yield* alphaSays("--json", "subscribe", "bravo", "none", "--count", "1", "--timeout", "300ms")
      assert.strictEqual(none.stdout, '{"data":{"events":null,"timeout":true},"status":"ok"}\n')
      const cleared = yield* PilotProcesses.pilotctl(bravo.home, ["--json", "clear-webhook"])
      assert.strictEqual(cleared.stdout, '{"data":{"applied":true,"webhook":""},"status":"ok"}\n')
      yield* PilotProcesses.pilotctl(bravo.home, ["daemon", "stop"])
      const later = yield* PilotProcesses.pilotctl(bravo.home, ["--json", "set-webhook", url])
      assert.strictEqual(later.stdout, `{"data":{"applied":false,"webhook":"${url}"},"status":"ok"}\n`)
    }).pipe(Effect.scoped)
  )
})
