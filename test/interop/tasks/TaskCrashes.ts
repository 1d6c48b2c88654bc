/**
 * Two daemons and a worker program as processes, `kill -9` of one of the three at random moments of a flow of tasks: each
 * submission that was acknowledged ends with one result, and no attempt is given to two workers.
 */
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Effect, Fiber, Layer, Schedule, Scope } from "effect"
import { Pilot, Tasks } from "effect-pilot"
import { rolldown } from "rolldown"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import { WEIGHT_MAX } from "../../../src/protocol/task/TaskLedger.ts"
import * as SeededRandom from "../../../src/testing/SeededRandom.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"
import { Twice } from "./Twice.ts"

/** How hard it is tried. */
export interface Options {
  readonly crashes: number
  readonly seed: number
}

/** What came out. */
export interface Outcome {
  readonly crashes: number
  readonly acknowledged: number
  /** Attempts that were begun: more than tasks, because some were killed in the middle. */
  readonly begun: number
  /** From the last crash until the last task was done. */
  readonly settledMs: number
  /** Empty when every promise was kept. */
  readonly problems: ReadonlyArray<string>
}

/** Runs until all crashes are done and all tasks have ended, or nothing has moved for `PATIENCE`. */
export const run = Effect.fnUntraced(function* ({ crashes, seed }: Options) {
  const random = SeededRandom.make(seed)
  const network = yield* PilotNetwork.make
  const [alice, bob] = yield* PilotNetwork.startPair(network, "alice", "bob")
  for (const { pid } of [alice, bob]) yield* PilotProcesses.killNow(pid)
  const flow: Flow = { seed, journal: `${network.directory}/journal`, acknowledged: new Set(), results: new Map() }
  const processes = [
    yield* killable(...daemon(network, alice)),
    yield* killable(...daemon(network, bob)),
    yield* killable([yield* bundled(network)], {
      ...Pilotctl.environment(bob.home),
      JOURNAL: flow.journal,
      NODE_NO_WARNINGS: "1"
    })
  ]
  const services = yield* Layer.build(Pilot.layerDaemon({ home: alice.home }))
  let isOver = false
  const submitters = yield* Effect.forEach(Array.from({ length: SUBMITTERS }), (_, index) =>
    Effect.forkScoped(
      Effect.provideContext(
        submitting(flow, index, () => isOver),
        services
      )
    )
  )
  for (let count = 0; count < crashes; count++) {
    // Most crashes come when something has been done since the last one; others while that is still starting.
    const moved = SeededRandom.index(random, MOVES + 1)
    const before = moves(flow)
    yield* PilotProcesses.until(Effect.sync(() => moved === MOVES || moves(flow)[moved]! > before[moved]!))
    yield* Effect.sleep(SeededRandom.index(random, PAUSE_MAX_MS))
    yield* processes[SeededRandom.index(random, processes.length)]!.crash
  }
  isOver = true
  const lastCrashMs = performance.now()
  yield* Effect.timeoutOption(Effect.forEach(submitters, Fiber.await), PATIENCE)
  const settledMs = performance.now() - lastCrashMs
  const problems = yield* Effect.provideContext(compare(flow), services)
  const [begun, acknowledged] = moves(flow)
  return { crashes, acknowledged, begun, settledMs, problems } satisfies Outcome
}, Effect.scoped)

interface Flow {
  readonly seed: number
  /** Where the workers write what they begin. */
  readonly journal: string
  readonly acknowledged: Set<string>
  /** What each was told first. */
  readonly results: Map<string, string>
}

/** What has been begun, acknowledged and done. */
const moves = (flow: Flow) => [begunIn(flow).length, flow.acknowledged.size, flow.results.size] as const

const begunIn = ({ journal }: Flow): ReadonlyArray<string> =>
  existsSync(journal)
    ? readFileSync(journal, "utf8")
        .split("\n")
        .filter((line) => line !== "")
    : []

/** One task after the other. It asks again with the same id when its daemon is away: whether that had stored it or not. */
const submitting = Effect.fnUntraced(function* (flow: Flow, index: number, isOver: () => boolean) {
  for (let number = index; !isOver(); number += SUBMITTERS) {
    const id = `t${number}`
    yield* patient(Tasks.submit(Twice, inputOf(flow, number), { to: "bob", id }))
    flow.acknowledged.add(id)
    flow.results.set(id, yield* resultOf(id))
  }
})

/** The same whenever it is asked for. */
const inputOf = ({ seed }: Flow, number: number) => ({
  number,
  workMs: SeededRandom.derive(seed, `t${number}`) % WORK_MAX_MS
})

/** As a text: the value, or why there is none. */
const resultOf = (id: string) =>
  Tasks.handle(Twice, id).pipe(
    Effect.flatMap(({ result }) => result),
    patient,
    Effect.match({ onFailure: (error) => error.message, onSuccess: (value) => JSON.stringify(value) })
  )

/** Until the daemon is there again. */
const patient = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, { schedule: Schedule.spaced("50 millis"), while: isAway })

const isAway = (error: { readonly _tag: string; readonly reason?: unknown }): boolean =>
  error._tag === "PilotError" || error._tag === "NoSuchPeer" || AWAY.has(String(error.reason))
/** A daemon that stops, or does not run; and one that has started and does not know its peers yet. */
const AWAY: ReadonlySet<string> = new Set(["Unreachable", "Stopped"])

/** What was acknowledged against what came back, what is kept, and who worked on it. */
const compare = Effect.fnUntraced(function* (flow: Flow) {
  const problems: Array<string> = []
  const begun = begunIn(flow)
  for (const token of new Set(begun)) {
    const times = begun.filter((line) => line === token).length
    if (times > 1) problems.push(`attempt ${token} was given to ${times} workers`)
  }
  const attempts = Map.groupBy(begun, (line) => line.split(" ")[0] ?? "")
  for (const id of flow.acknowledged) {
    const told = flow.results.get(id)
    if (told === undefined) {
      problems.push(`${id} was acknowledged and has no result`)
      continue
    }
    const tokens = attempts.get(id) ?? []
    const last = Math.max(...tokens.map((token) => Number(token.split(" ")[1])))
    const expected = JSON.stringify({ twice: 2 * Number(id.slice(1)), attempt: last })
    const isGivenUp = tokens.length === ATTEMPTS_MAX && told.includes("given up")
    if (told !== expected && !isGivenUp) problems.push(`${id} came back as ${told}, not as ${expected}`)
    const kept = yield* resultOf(id)
    if (kept !== told) problems.push(`${id} came back as ${told}, and later as ${kept}`)
  }
  for (const id of attempts.keys()) if (!flow.acknowledged.has(id)) problems.push(`${id} was not acknowledged`)
  // Each end is counted once, in the transaction that stores it; large counts are halved.
  const ended = (yield* patient(Tasks.ledger)).reduce((sum, { done, failed }) => sum + done + failed, 0)
  if (flow.acknowledged.size < WEIGHT_MAX && ended !== flow.acknowledged.size)
    problems.push(`${ended} ends of ${flow.acknowledged.size} tasks`)
  return problems
})

interface Killable {
  /** `kill -9`; it is started again when this returns, and has to find its way by itself. */
  readonly crash: Effect.Effect<void>
}

const killable = Effect.fnUntraced(function* (
  words: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>
): Effect.fn.Return<Killable, never, Scope.Scope> {
  const started = PilotProcesses.watch(process.execPath, words, environment)
  const scope = yield* Effect.scope
  let current = yield* started
  return {
    crash: Effect.gen(function* () {
      current.child.kill("SIGKILL")
      yield* current.exited
      current = yield* Effect.provideService(started, Scope.Scope, scope)
    })
  }
})

const daemon = (network: PilotNetwork.PilotNetwork, { home, name }: PilotNetwork.Daemon) =>
  [
    [Pilotctl.PROGRAM, "_daemon-run", "--json", ...PilotNetwork.flagsOf(network, name)],
    Pilotctl.environment(home)
  ] as const

/** The worker program in one file, as agents are deployed: it starts in a tenth of the time, which is most of a crash. */
const bundled = Effect.fnUntraced(function* ({ directory }: PilotNetwork.PilotNetwork) {
  const file = `${directory}/worker.mjs`
  yield* Effect.promise(async () => {
    const build = await rolldown({ input: WORKER, platform: "node", logLevel: "silent" })
    await build.write({ file, format: "esm", codeSplitting: false })
    await build.close()
  })
  return file
})

const WORKER = fileURLToPath(new URL("worker.ts", import.meta.url))
const SUBMITTERS = 8
const MOVES = 3
const PAUSE_MAX_MS = 500
const WORK_MAX_MS = 400
const ATTEMPTS_MAX = 5
const PATIENCE = "60 seconds"
