import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Pilot, Tasks } from "effect-pilot"
import { Report } from "../../../examples/cluster/reports.ts"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"
import * as Postgres from "../../support/Postgres.ts"
import * as Hosts from "../gateway/Hosts.ts"

const PROGRAM = fileURLToPath(new URL("../../../examples/cluster/machine.ts", import.meta.url))

/** The node `agency` takes reports from `client`, whose program this is; machines do them. */
const stage = Effect.gen(function* () {
  const network = yield* PilotNetwork.make
  const [client, agency] = yield* PilotNetwork.startPair(network, "client", "agency")
  const journal = `${network.directory}/journal`
  const services = yield* Layer.build(Pilot.layerDaemon({ home: client.home }))
  const machine = Effect.fnUntraced(function* (name: string, variables: Readonly<Record<string, string>>) {
    const { PILOT_HOME: _, ...environment } = Pilotctl.environment(network.directory)
    return yield* PilotProcesses.watch(process.execPath, [PROGRAM], {
      ...environment,
      ...{ MACHINE: name, JOURNAL: journal, NODE_NO_WARNINGS: "1" },
      ...variables
    })
  })
  return {
    network,
    agency,
    machine,
    submit: (city: string) => Effect.provideContext(Tasks.submit(Report, { city }, { to: "agency" }), services),
    /** City, step and machine of each line. */
    done: (step: string) =>
      Effect.sync(() =>
        (existsSync(journal) ? readFileSync(journal, "utf8") : "")
          .split("\n")
          .map((line) => line.split(" "))
          .filter(([, name]) => name === step)
          .map(([city = "", , by = ""]) => ({ city, by }))
      )
  }
})

const cities = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`)

/** When its first step is certainly kept. */
const begun = ({ progress }: Tasks.Handle<string, unknown>) => Stream.runDrain(Stream.take(progress, 1))

describe("tasks whose handler is a workflow", { timeout: 180_000 }, () => {
  it.live("one machine, SQLite: what is finished before kill -9 is not done again", () =>
    Effect.gen(function* () {
      const { agency, done, machine, network, submit } = yield* stage
      const variables = { DATABASE: `${network.directory}/state`, PILOT_HOME: agency.home }
      const first = yield* machine("first", variables)
      yield* begun(yield* submit("C0"))
      const second = yield* machine("second", variables)
      yield* second.printed("another program (process")
      const names = cities("C", 4)
      const jobs = yield* Effect.forEach(names, submit)
      yield* Effect.forEach(jobs, begun, { concurrency: "unbounded" })

      first.child.kill("SIGKILL")
      yield* first.exited
      yield* machine("third", variables)
      const results = yield* Effect.forEach(jobs, ({ result }) => result, { concurrency: "unbounded" })

      assert.deepStrictEqual(
        results,
        names.map((city) => ({ text: `a report on the facts of ${city}` }))
      )
      assert.deepStrictEqual((yield* done("collect")).map(({ city }) => city).toSorted(), ["C0", ...names])
      const checks = (yield* done("check")).filter(({ city }) => names.includes(city))
      assert.deepStrictEqual([...new Set(checks.map(({ city }) => city))].toSorted(), names)
      assert.include(
        checks.map(({ by }) => by),
        "third"
      )
    }).pipe(Effect.scoped)
  )

  it.live.skipIf(!Hosts.isPossible)("three machines, PostgreSQL: a lost one's work goes on elsewhere", () =>
    Effect.gen(function* () {
      const { agency, done, machine, network, submit } = yield* stage
      const port = yield* Postgres.start(network.directory)
      const DATABASE = `postgres://postgres@127.0.0.1:${port}/postgres`
      const member = Effect.fnUntraced(function* (name: string, more: Readonly<Record<string, string>> = {}) {
        return yield* machine(name, { DATABASE, PORT: String(yield* PilotProcesses.freePort), ...more })
      })
      const front = yield* member("front", { PILOT_HOME: agency.home })
      const lost = yield* member("lost")
      yield* member("steady")
      // Until each of them has a share of the work.
      const names = cities("A", 9)
      const jobs = yield* Effect.forEach(names, submit)
      yield* Effect.forEach(jobs, begun, { concurrency: "unbounded" })

      lost.child.kill("SIGKILL")
      const results = yield* Effect.forEach(jobs, ({ result }) => result, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        results,
        names.map((city) => ({ text: `a report on the facts of ${city}` }))
      )
      assert.deepStrictEqual((yield* done("collect")).map(({ city }) => city).toSorted(), names)

      // The machine that took the tasks is lost: they are done all the same, and told when the agency is there again.
      const more = cities("B", 3)
      const others = yield* Effect.forEach(more, submit)
      yield* Effect.forEach(others, begun, { concurrency: "unbounded" })
      front.child.kill("SIGKILL")
      yield* front.exited
      yield* PilotProcesses.until(
        Effect.map(done("check"), (checks) => more.every((name) => checks.some(({ city }) => city === name)))
      )
      const checks = (yield* done("check")).filter(({ city }) => more.includes(city))
      yield* member("back", { PILOT_HOME: agency.home })
      const late = yield* Effect.forEach(others, ({ result }) => result, { concurrency: "unbounded" })
      assert.lengthOf(late, more.length)
      assert.deepStrictEqual(
        (yield* done("check")).filter(({ city }) => more.includes(city)),
        checks
      )
    }).pipe(Effect.scoped)
  )
})
