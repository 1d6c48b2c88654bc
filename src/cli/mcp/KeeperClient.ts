/** Asking the keeper from a command, starting it first where that is wanted. */
import { Effect, Schedule } from "effect"
import * as KeeperControl from "../../actors/mcp/KeeperControl.ts"
import * as ServiceTable from "../../actors/mcp/keeper/ServiceTable.ts"
import * as CliError from "../CliError.ts"
import type { Environment } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as ControlSocket from "../ControlSocket.ts"
import { Processes } from "../Processes.ts"
import * as KeeperPlaces from "./KeeperPlaces.ts"

/** Asks a running keeper, or one started now. */
export const ask = Effect.fnUntraced(function* (
  request: KeeperControl.Request
): Effect.fn.Return<KeeperControl.State, CliError.CliError, Environment> {
  const answer = yield* tryAsk(request)
  if (answer !== undefined) return answer
  yield* start
  const { log } = yield* KeeperPlaces.places
  return (yield* tryAsk(request)) ?? (yield* notStarted(log))
})

/** What the keeper does, and the calls it counted. One that does not run although there are services is started; without services there is none. */
export const status: Effect.Effect<KeeperControl.State | undefined, CliError.CliError, Environment> = Effect.suspend(
  () => statusBy(STATUS)
)

/** The same, after servers that were not looked at lately are. */
export const look: typeof status = Effect.suspend(() => statusBy({ ...STATUS, look: true }))

const statusBy = Effect.fnUntraced(function* (request: KeeperControl.Request) {
  const running = yield* tryAsk(request)
  if (running !== undefined) return running
  const { services } = yield* KeeperPlaces.places
  const table = yield* Effect.mapError(ServiceTable.load(services), ({ message, path }) =>
    CliError.make("internal", `${path}: ${message}`)
  )
  return table.size === 0 ? undefined : yield* ask(request)
})

/** Asks a running keeper; undefined if there is none. */
export const tryAsk = (
  request: KeeperControl.Request
): Effect.Effect<KeeperControl.State | undefined, CliError.CliError, Environment> =>
  Effect.gen(function* () {
    const { socket } = yield* KeeperPlaces.places
    const { Reply: reply, Request } = KeeperControl
    const asked = { name: "keeper", path: socket, request: Request, reply, timeout: REPLY_TIMEOUT } as const
    return (yield* ControlSocket.ask(asked, request))?.state
  })

/** Stops a running keeper and waits until it and its servers are gone; false if there was none. */
export const stop: Effect.Effect<boolean, CliError.CliError, Environment> = Effect.gen(function* () {
  const state = yield* tryAsk({ op: "stop" })
  if (state === undefined) return false
  const processes = yield* Processes
  yield* Effect.repeat(processes.isAlive(state.pid), {
    while: (isAlive) => isAlive,
    schedule: Schedule.spaced(POLL)
  }).pipe(
    Effect.timeoutOrElse({
      duration: STOP_TIMEOUT,
      orElse: () => CliError.make("timeout", `the keeper (pid ${state.pid}) still waits for its servers to end`)
    })
  )
  return true
})

/** Starts the keeper in the background and waits until it answers. */
const start: Effect.Effect<void, CliError.CliError, Environment> = Effect.gen(function* () {
  const places = yield* KeeperPlaces.places
  const processes = yield* Processes
  yield* ConfigFile.makeHome(places.home)
  const { exited } = yield* Effect.mapError(processes.startAgain(["_keeper-run"], places.log, {}), ({ detail }) =>
    CliError.make("internal", `cannot start the keeper: ${detail}`)
  )
  const answers = Effect.gen(function* () {
    while ((yield* tryAsk({ op: "status" })) === undefined) yield* Effect.sleep(POLL)
  })
  // One that ends at once has said why, or another was faster.
  yield* Effect.raceFirst(answers, Effect.andThen(exited, Effect.sleep(POLL))).pipe(
    Effect.timeoutOrElse({ duration: START_TIMEOUT, orElse: () => Effect.fail(notStarted(places.log)) })
  )
})

const notStarted = (log: string): CliError.CliError =>
  CliError.make("internal", "the keeper does not start", `check logs: tail ${log}`)

const STATUS = { op: "status", calls: true } as const
const REPLY_TIMEOUT = "10 seconds"
const START_TIMEOUT = "15 seconds"
const STOP_TIMEOUT = "15 seconds"
const POLL = "50 millis"
