/** `McpHost` over a node that runs in this process: its keeper runs here as well, while anything is exposed. */
import { Clock, Effect, type FileSystem, Option, type Path, RcRef, type Scope } from "effect"
import type { Audit } from "../actors/mcp/CallLedger.ts"
import * as Approvals from "../actors/mcp/keeper/Approvals.ts"
import type { CallGate } from "../actors/mcp/keeper/CallGate.ts"
import * as Keeper from "../actors/mcp/keeper/Keeper.ts"
import * as ServiceCards from "../actors/mcp/keeper/ServiceCards.ts"
import * as ServiceTable from "../actors/mcp/keeper/ServiceTable.ts"
import { CannotStart, type Child } from "../actors/mcp/server/Child.ts"
import { Node } from "../actors/node/Node.ts"
import { type Guard, PolicyGuard } from "../actors/policy/PolicyGuard.ts"
import type { RegistryClient } from "../actors/registry/RegistryClient.ts"
import type { PeerKeys } from "../actors/trust/PeerKeys.ts"
import type { Trust } from "../actors/trust/Trust.ts"
import * as Provided from "../core/actor/Provided.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as Bytes from "../core/data/Bytes.ts"
import { MCP_PORT } from "../protocol/relay/RelayControl.ts"
import * as Address from "../protocol/wire/Address.ts"
import * as HostSigner from "./HostSigner.ts"
import * as InProcess from "./InProcess.ts"
import * as InProcessCallers from "./InProcessCallers.ts"
import { ExposeError, type McpHost, type Open, type Question } from "./McpHost.ts"
import { VERSION } from "./Version.ts"

/** How servers that are no part of the program are started, and where calls are recorded. */
export interface Options {
  readonly start: (
    service: ServiceTable.StoredService,
    gate: Pick<CallGate, "callerHeaders" | "mayRepeat">
  ) => Effect.Effect<Child, CannotStart, Scope.Scope>
  readonly audit?: Pick<Audit, "record">
  /** Where the numbers of capability cards are kept. */
  readonly cardsPath: string
}

type Services = Crypto | FileSystem.FileSystem | Node | Path.Path | PeerKeys | RegistryClient | Trust

/** The host; the end of its scope ends what it exposes. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<McpHost["Service"], never, Services | Scope.Scope> {
  // Without the scope: what is opened later lives in a scope of its own.
  const services = yield* Provided.services<Services>()
  const held = new Map<string, Held>()
  const { randomBytes } = yield* Crypto
  // The program's own memory: what it decides for good, it can decide again.
  const approvals = yield* Approvals.make({ remembered: [], save: () => Effect.void, randomBytes })
  const running = yield* RcRef.make({ acquire: Effect.provideContext(run(options, held, approvals), services) })

  return {
    peer: (target) => Effect.provideContext(peer(target), services),
    approvals: {
      waiting: Effect.sync(() => approvals.waiting().map(questionOf)),
      decide: (id, verdict) =>
        Effect.asVoid(
          Effect.mapError(
            approvals.decide(id, verdict),
            ({ message }) => new ExposeError({ reason: "NotWaiting", detail: message })
          )
        )
    },
    hold: Effect.fnUntraced(function* (service, open) {
      const keeper = yield* RcRef.get(running)
      if (held.has(service.name)) {
        return yield* new ExposeError({ reason: "Taken", detail: `this program exposes ${service.name} already` })
      }
      held.set(service.name, { service, open })
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          held.delete(service.name)
          // What was public must not be found any more, if the registry can be told within a moment.
          const withdrawn = Effect.timeoutOption(keeper.cards.shelf.publish, WITHDRAW_TIMEOUT)
          return Effect.andThen(keeper.recheck, withdrawn)
        })
      )
      yield* keeper.cards.changed
      if (service.port !== undefined) yield* keeper.listen(service.port, service.name)
      return { ended: Effect.never }
    })
  }
})

interface Held {
  readonly service: ServiceTable.Service
  readonly open: Open | undefined
}

const mayUse = (
  guard: Guard,
  service: ServiceTable.Service,
  { node }: Address.Address,
  keys: Parameters<typeof ServiceTable.isAllowed>[1]
) => guard.permits(node, { service: "mcp", target: service.name }, ServiceTable.isAllowed(service, keys))

/** A keeper on the node's MCP port. */
const run = Effect.fnUntraced(function* (
  { audit, cardsPath, start }: Options,
  held: ReadonlyMap<string, Held>,
  approvals: Approvals.Approvals
): Effect.fn.Return<
  Keeper.Keeper & {
    readonly cards: ServiceCards.ServiceCards
    readonly listen: (port: number, service?: string) => Effect.Effect<void, ExposeError, Scope.Scope>
  },
  ExposeError,
  Services | Scope.Scope
> {
  const services = yield* Provided.services<Services>()
  const node = yield* Node
  const { sha256 } = yield* Crypto
  const guard = yield* PolicyGuard
  const clock = yield* Clock.Clock
  const { address, hostname } = yield* node.status
  const callerOf = (remote: Address.Address) => Effect.provideContext(InProcessCallers.caller(remote), services)
  const programOf = (service: ServiceTable.Service, remote: Address.Address) => {
    const open = held.get(service.name)?.open
    return open === undefined
      ? new CannotStart({ detail: "the program exposes it no more" })
      : Effect.flatMap(callerOf(remote), open)
  }
  const cards = yield* ServiceCards.make({
    path: cardsPath,
    sha256,
    clientInfo: { name: "effect-pilot", version: VERSION },
    signer: yield* HostSigner.make,
    services: () => [...held.values()].map(({ service }) => service),
    spawn: (service) => ("program" in service ? programOf(service, address) : start(service, OURSELVES))
  })
  const keeper = yield* Keeper.make({
    cards: cards.shelf.page,
    inspected: cards.inspector.known,
    self: hostname || Address.format(address),
    find: (name) => Effect.sync(() => Option.fromUndefinedOr(held.get(name)?.service)),
    isAllowed: (service, remote) =>
      Effect.map(Effect.provideContext(InProcessCallers.trustedKeys(remote.node), services), (keys) =>
        mayUse(guard, service, remote, keys)
      ),
    guard,
    caller: (remote) =>
      Effect.map(callerOf(remote), ({ node: node_id, publicKey: public_key, ...facts }) => ({
        node_id,
        ...facts,
        public_key
      })),
    list: (remote) =>
      Effect.map(Effect.provideContext(InProcessCallers.trustedKeys(remote.node), services), (keys) =>
        [...held.values()].map(({ service }) => service).filter((service) => mayUse(guard, service, remote, keys))
      ),
    spawn: (service, gate, remote) => {
      return "program" in service ? programOf(service, remote) : start(service, gate)
    },
    sha256,
    approvals,
    peerKey: (remote) =>
      Effect.map(
        Effect.provideContext(InProcessCallers.trustedKey(remote.node), services),
        (key) => key && Bytes.toBase64(key)
      ),
    ...(audit === undefined
      ? {}
      : { audit: { ...audit, sha256, time: () => new Date(clock.currentTimeMillisUnsafe()).toISOString() } })
  })
  const listen = Effect.fnUntraced(function* (port: number, service?: string) {
    const listener = yield* Effect.mapError(
      node.listen(Address.Port(port)),
      () => new ExposeError({ reason: "Taken", detail: `port ${port} of this node has a listener already` })
    )
    yield* listener.accept.pipe(
      Effect.flatMap(({ end, read, remote, write }) => {
        const incoming = { duplex: { read, write, end }, remote }
        return Effect.forkScoped(keeper.serve(service === undefined ? incoming : { ...incoming, ownPort: service }))
      }),
      Effect.forever,
      Effect.ignore,
      Effect.forkScoped
    )
  })
  yield* listen(MCP_PORT)
  return { ...keeper, cards, listen }
})

const WITHDRAW_TIMEOUT = "2 seconds"
/** A look at a server is nobody's call. */
const OURSELVES = { callerHeaders: () => ({}), mayRepeat: () => false }

const questionOf = ({ id, ...question }: Approvals.Waiting): Question => ({
  id,
  service: question.service,
  node: question.node,
  peer: question.peer,
  fingerprint: question.fingerprint,
  tool: question.tool,
  parameters: question.parameters,
  definitionHash: question.definitionHash,
  expiresAtMs: question.expiresAtMs
})

const peer = Effect.fnUntraced(function* (
  target: string
): Effect.fn.Return<ServiceTable.AllowedPeer, ExposeError, PeerKeys | RegistryClient> {
  const found = yield* Effect.mapError(
    InProcess.lookUp(target),
    ({ message }) => new ExposeError({ reason: "UnknownPeer", detail: message })
  )
  return {
    node: found.node,
    publicKey: Bytes.toBase64(found.publicKey),
    name: found.hostname || Address.format(found.address)
  }
})
