/** A gateway in this process: opens the doors of a plan, answers commands, runs until a signal comes. */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import { Effect, Layer, Logger } from "effect"
import type { Socket } from "effect/socket"
import * as GatewayControl from "../../actors/gateway/GatewayControl.ts"
import * as ControlLines from "../../actors/ipc/ControlLines.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import { LocalSocket } from "../../core/net/LocalSocket.ts"
import * as NodeBuffers from "../../core/net/NodeBuffers.ts"
import * as NodeHttpRelay from "../../core/net/NodeHttpRelay.ts"
import * as NodeTcp from "../../core/net/NodeTcp.ts"
import * as NodeUdpEndpoint from "../../core/net/NodeUdpEndpoint.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Input, output } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as LongLived from "../LongLived.ts"
import { Processes } from "../Processes.ts"
import * as Render from "../Render.ts"
import * as Terminal from "../Terminal.ts"
import * as TrustFirst from "../trust/TrustFirst.ts"
import * as GatewayClient from "./GatewayClient.ts"
import * as GatewayOffice from "./GatewayOffice.ts"
import * as GatewayPlan from "./GatewayPlan.ts"

/** Runs a gateway until a signal comes. Its control socket is its lock. */
export const run = Effect.fnUntraced(
  function* (input: Input): Effect.fn.Return<never, CliError.CliError, GatewayOffice.Services> {
    NodeBuffers.growFreely()
    const plan = yield* GatewayPlan.read(input)
    const { home } = yield* ConfigFile.directory
    yield* ConfigFile.makeHome(home)
    const running = yield* GatewayClient.tryAsk({ op: "list" })
    if (running !== undefined) return yield* alreadyRunning(running.pid)
    const path = yield* GatewayClient.socketPath
    const local = yield* LocalSocket
    const server = yield* Effect.mapError(local.listen(path), ({ detail }) =>
      CliError.make("internal", `cannot make the socket ${path}: ${detail}`)
    )
    const { ownPid } = yield* Processes
    yield* LongLived.begin
    const { platform } = yield* CliHost
    const office = yield* GatewayOffice.open(plan, platform)
    yield* Effect.forkScoped(server.run((socket) => converse(socket, office, ownPid)))
    const mappings = office.mappings()
    const data = { mappings: mappings.length === 0 ? null : mappings, pid: ownPid, subnet: office.subnet }
    const human = [...office.lines(), "gateway running"].join("\n")
    yield* Terminal.print(Render.success(output(data, human), input.json))
    // Beside serving: the doors work as soon as the peer has decided.
    yield* Effect.forkScoped(Effect.forEach(peersOf(plan), (peer) => askForTrust(input, peer), { discard: true }))
    return yield* Effect.never
  },
  Effect.provide(
    Layer.mergeAll(
      NodeTcp.layer,
      NodeHttpRelay.layer,
      NodeUdpEndpoint.layer,
      NativeCrypto.layer,
      NodeChildProcessSpawner.layer
    )
  ),
  Effect.provideService(Logger.LogToStderr, true)
)

const peersOf = ({ maps, peers }: GatewayPlan.GatewayPlan): ReadonlySet<string> =>
  new Set([...peers, ...maps.map(({ peer }) => peer)])

/** A peer that does not trust this node is asked to; without an answer its doors say why they lead nowhere. */
const askForTrust = (input: Input, text: string) =>
  Effect.flatMap(DaemonClient.connect, (client) =>
    TrustFirst.ensure(client, input, {
      ...{ text, failure: `cannot use ${text}`, justification: "gateway", timeout: undefined }
    })
  ).pipe(
    Effect.scoped,
    Effect.catch(({ message }) => Effect.logWarning(`gateway: ${text}: trust was not asked for: ${message}`))
  )

/** One command on the control socket. */
const converse = (socket: Socket.Socket, office: GatewayOffice.GatewayOffice, pid: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const lines = yield* ControlLines.make(socket, GatewayControl.Request, GatewayControl.Reply)
    while (true) {
      const request = yield* lines.read
      const reply = yield* Effect.match(perform(office, request), {
        onFailure: ({ code, hint, message }): GatewayControl.Reply => ({
          ...{ ok: false, code, detail: message },
          ...(hint === undefined ? {} : { hint })
        }),
        onSuccess: (mapped): GatewayControl.Reply => ({
          ...{ ok: true, pid, subnet: office.subnet, mappings: office.mappings() },
          ...(mapped === undefined ? {} : { mapped: { local_ip: mapped.ip, pilot_addr: mapped.pilotAddress } })
        })
      })
      yield* lines.write(reply)
    }
  }).pipe(Effect.scoped, Effect.ignore)

const perform = (
  office: GatewayOffice.GatewayOffice,
  request: GatewayControl.Request
): Effect.Effect<GatewayOffice.Mapped | undefined, CliError.CliError> => {
  switch (request.op) {
    case "list":
      return Effect.succeed(undefined)
    case "map":
      return office.map(request.peer, request.ip)
    case "unmap":
      return Effect.as(office.unmap(request.ip), undefined)
  }
}

const alreadyRunning = (pid: number): CliError.CliError =>
  CliError.make(
    "already_exists",
    `gateway is already running (pid ${pid})`,
    "stop it first with: pilotctl gateway stop"
  )
