/**
 * The datagrams of one local client (node §1.5): those it sends, and those that are pushed to it. At first it hears all of the
 * node's and sends from any free port, as with the reference; a client of ours may hold a port, and then sends from it and hears
 * only what comes to it (`datagrams.hold`).
 */
import { Effect, Fiber, Queue, Scope } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as IpcOpcode from "../../protocol/wire/IpcOpcode.ts"
import * as IpcReply from "../../protocol/wire/IpcReply.ts"
import type * as IpcRequest from "../../protocol/wire/IpcRequest.ts"
import type { DatagramReceived, DialError, Node } from "../node/Node.ts"
import * as DialErrorText from "./DialErrorText.ts"
import type { Outbox } from "./Outbox.ts"
import type { ReplyOrder, Slot } from "./ReplyOrder.ts"

/** What the datagrams of a client stand on. */
export interface Options {
  readonly node: Node["Service"]
  readonly outbox: Outbox
  readonly replies: ReplyOrder
  /** The client's life. */
  readonly scope: Scope.Scope
}

/** A datagram to be sent. */
export type SendTo = Extract<IpcRequest.IpcRequest, { readonly _tag: "SendTo" | "SendToConfirm" }>

/** Those of one client. Mutable, owned by its `IpcClientActor`. */
export interface IpcDatagrams extends Options {
  readonly waiting: Queue.Queue<SendTo>
  send: Node["Service"]["sendDatagram"]
  pushing: Fiber.Fiber<void>
}

/** Begins to push and to send. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<IpcDatagrams, never, Scope.Scope> {
  const { node, scope } = options
  const received = yield* node.datagrams(DATAGRAMS_MAX)
  const self: IpcDatagrams = {
    ...options,
    waiting: yield* Queue.dropping<SendTo>(DATAGRAMS_MAX),
    send: node.sendDatagram,
    pushing: yield* Effect.forkIn(push(options, received), scope)
  }
  // One that has to wait for its peer's tunnel holds up only other datagrams.
  const next = Effect.flatMap(Queue.take(self.waiting), ({ address, data, port }) =>
    Address.isBroadcast(address) ? Effect.void : Effect.ignore(self.send(address, port, data))
  )
  yield* Effect.forkIn(Effect.forever(next), scope)
  return self
})

/** Datagrams may be lost: the newest are, when too many wait. */
export const send = (self: IpcDatagrams, datagram: SendTo): void => void Queue.offerUnsafe(self.waiting, datagram)

/** Says whether the datagram has left; not whether it arrived. */
export const confirm = (self: IpcDatagrams, { address, data, port }: SendTo, slot: Slot): Effect.Effect<void> => {
  const sent: Effect.Effect<void, string> = Address.isBroadcast(address)
    ? Effect.fail("broadcast is not available — custom networks are WIP")
    : Effect.mapError(self.send(address, port, data), (error: DialError) => DialErrorText.format(error, address.node))
  const confirmed = Effect.match(sent, {
    onSuccess: (): IpcReply.IpcReply => ({ _tag: "SendToConfirmed" }),
    onFailure: (detail) => IpcReply.error(`sendto: ${detail}`)
  })
  return Effect.asVoid(Effect.forkIn(fill(self, slot, confirmed), self.scope))
}

/** Holds the port, or a free one for 0, until the client ends; once. */
export const hold = (self: IpcDatagrams, value: Json.JsonObject, slot: Slot): Effect.Effect<void> => {
  const wanted = Json.unsigned(value, "port", 16)
  const held = Effect.gen(function* () {
    const port = yield* self.node.holdDatagrams(wanted === 0 ? undefined : Address.Port(wanted), DATAGRAMS_MAX)
    yield* Fiber.interrupt(self.pushing)
    self.send = port.send
    self.pushing = yield* Effect.forkIn(push(self, port.received), self.scope)
    return { port: port.port }
  })
  const reply = Effect.match(Scope.provide(held, self.scope), {
    onSuccess: (answer): IpcReply.IpcReply => ({ _tag: "Answer", to: "Extension", value: answer }),
    onFailure: () => IpcReply.error(`datagrams.hold: port ${wanted} already bound`)
  })
  return fill(self, slot, reply)
}

const fill = ({ replies }: Options, slot: Slot, reply: Effect.Effect<IpcReply.IpcReply>): Effect.Effect<void> =>
  Effect.map(reply, (frame) => replies.fill(slot, IpcReply.encode(frame)))

const push = ({ outbox }: Pick<Options, "outbox">, received: Queue.Dequeue<DatagramReceived>): Effect.Effect<void> =>
  Effect.forever(
    Effect.map(Queue.take(received), ({ destinationPort, payload, source, sourcePort }) => {
      if (payload.length === 0 || payload.length > DATAGRAM_BYTES_MAX) return
      outbox.offer(IpcReply.encode({ _tag: "RecvFrom", source, sourcePort, destinationPort, data: payload }))
    })
  )

/** Datagrams that wait for a client, or for their peer's tunnel; the newest beyond are dropped. */
const DATAGRAMS_MAX = 256
const DATAGRAM_BYTES_MAX = IpcOpcode.FRAME_BYTES_MAX - 64
