/**
 * What one client socket has going on: the requests in flight, the open streams, the bound ports, who wants datagrams.
 * Takes the daemon's frames in order and never waits (node §1.3). Mutable, owned by one `IpcClient`.
 */
import { Cause, Deferred, Exit, Queue } from "effect"
import * as Json from "../../core/data/Json.ts"
import type { Port } from "../../protocol/wire/Address.ts"
import type { IpcReply } from "../../protocol/wire/IpcReply.ts"
import type { DatagramReceived } from "../node/Node.ts"
import { IpcError } from "./IpcError.ts"
import { RESET_EVENT } from "./IpcErrorText.ts"
import { IpcExchange } from "./IpcExchange.ts"
import { IpcBudget, IpcStream } from "./IpcStream.ts"

/** A stream that came to a bound port. */
export interface Accepted {
  readonly frame: Extract<IpcReply, { readonly _tag: "Accept" }>
  readonly stream: IpcStream
}

/** The connection that a reply is about, if it answers a dial: by address, or by name (`IpcExtension`). */
export const dialledBy = (reply: IpcReply): number | undefined => {
  if (reply._tag === "DialOk") return reply.connection
  if (reply._tag !== "Answer" || reply.to !== "Extension") return undefined
  return Json.unsigned(reply.value, "dialled", 32) || undefined
}

/** The state of one socket. */
export class IpcSession {
  readonly budget = new IpcBudget()
  readonly exchange = new IpcExchange()
  readonly #streams = new Map<number, IpcStream>()
  readonly #listeners = new Map<Port, Queue.Queue<Accepted, IpcError>>()
  readonly #datagrams = new Set<Queue.Queue<DatagramReceived, IpcError>>()
  readonly #closing = new Map<number, Deferred.Deferred<void>>()
  /** Data of connections whose DialOK is still on its way (node §12). */
  readonly #early = new Map<number, Array<Uint8Array>>()
  /** Streams with data that their readers have not been told of. */
  readonly #touched = new Set<IpcStream>()
  #isLost = false

  /** Wakes the readers of what was taken, once for all frames that came together. */
  deliver(): void {
    for (const stream of this.#touched) stream.deliver()
    this.#touched.clear()
  }

  /** Takes one frame; the answer names a connection that nobody wants, to be closed. `deliver` follows the last one. */
  take(reply: IpcReply): number | undefined {
    switch (reply._tag) {
      case "Recv":
        this.#receive(reply.connection, reply.data)
        return undefined
      case "CloseOk":
        this.#closed(reply.connection)
        return undefined
      case "Accept":
        return this.#accept(reply)
      case "RecvFrom":
        this.#datagram(reply)
        return undefined
      case "Answer":
        if (reply.to === "Extension" && Json.string(reply.value, "event") === RESET_EVENT) {
          this.#reset(reply.value)
          return undefined
        }
    }
    const dialled = dialledBy(reply)
    // Opened here and not by the waiting fiber, because data may follow in the same chunk.
    if (dialled !== undefined) this.#open(dialled)
    const isWanted = this.exchange.settle(reply)
    return dialled === undefined || isWanted ? undefined : this.#refuse(dialled)
  }

  /** The stream of a connection that was dialled or accepted and not forgotten. */
  stream(id: number): IpcStream | undefined {
    return this.#streams.get(id)
  }

  /** The connection is not used any more: its data is dropped from now on. */
  forget(id: number): void {
    this.#streams.get(id)?.discard()
    this.#streams.delete(id)
  }

  /** Streams to this port go to the queue from now on. */
  listen(port: Port, queue: Queue.Queue<Accepted, IpcError>): void {
    if (this.#isLost) Queue.failCauseUnsafe(queue, Cause.fail(lost("accept")))
    this.#listeners.set(port, queue)
  }

  /** Streams to this port are closed from now on. */
  unlisten(port: Port): void {
    this.#listeners.delete(port)
  }

  /** Every datagram goes to the queue from now on. */
  subscribe(queue: Queue.Queue<DatagramReceived, IpcError>): void {
    if (this.#isLost) Queue.failCauseUnsafe(queue, Cause.fail(lost("recvfrom")))
    this.#datagrams.add(queue)
  }

  /** No more datagrams for this queue. */
  unsubscribe(queue: Queue.Queue<DatagramReceived, IpcError>): void {
    this.#datagrams.delete(queue)
  }

  /** Done when the daemon says that this connection is closed. */
  awaitClosed(id: number): Deferred.Deferred<void> {
    const waiting = this.#closing.get(id) ?? Deferred.makeUnsafe<void>()
    this.#closing.set(id, waiting)
    return waiting
  }

  /** The socket is gone. */
  lose(): void {
    this.#isLost = true
    this.exchange.lose()
    for (const stream of this.#streams.values()) stream.finish(lost("recv"))
    for (const queue of this.#listeners.values()) Queue.failCauseUnsafe(queue, Cause.fail(lost("accept")))
    for (const queue of this.#datagrams) Queue.failCauseUnsafe(queue, Cause.fail(lost("recvfrom")))
    for (const waiting of this.#closing.values()) Deferred.doneUnsafe(waiting, Exit.void)
  }

  #open(id: number): IpcStream {
    const stream = new IpcStream(this.budget)
    this.#streams.set(id, stream)
    for (const chunk of this.#early.get(id) ?? []) stream.receive(chunk)
    this.#early.delete(id)
    return stream
  }

  #receive(id: number, data: Uint8Array): void {
    const stream = this.#streams.get(id)
    if (stream !== undefined) {
      stream.receive(data)
      this.#touched.add(stream)
      return
    }
    const chunks = this.#early.get(id)
    if (chunks !== undefined) {
      if (chunks.length < EARLY_CHUNKS_MAX) chunks.push(data)
      return
    }
    // Late data of a stream that was closed here looks the same, and nobody comes for it.
    if (this.#early.size >= EARLY_MAX) this.#early.delete(this.#early.keys().next().value!)
    this.#early.set(id, [data])
  }

  #reset(value: Json.JsonObject): void {
    const detail = Json.string(value, "reason")
    const error = new IpcError({ reason: "Reset", operation: "recv", detail })
    this.#streams.get(Json.unsigned(value, "connection", 32))?.reset(error)
  }

  #closed(id: number): void {
    this.#streams.get(id)?.finish()
    this.#early.delete(id)
    const waiting = this.#closing.get(id)
    this.#closing.delete(id)
    if (waiting !== undefined) Deferred.doneUnsafe(waiting, Exit.void)
  }

  #accept(frame: Accepted["frame"]): number | undefined {
    const queue = this.#listeners.get(frame.localPort)
    const stream = this.#open(frame.connection)
    if (queue !== undefined && Queue.offerUnsafe(queue, { frame, stream })) return undefined
    return this.#refuse(frame.connection)
  }

  #refuse(id: number): number {
    this.forget(id)
    return id
  }

  #datagram({ source, sourcePort, destinationPort, data }: Extract<IpcReply, { readonly _tag: "RecvFrom" }>): void {
    const datagram = { source, sourcePort, destinationPort, payload: data }
    for (const queue of this.#datagrams) Queue.offerUnsafe(queue, datagram)
  }
}

const lost = (operation: string): IpcError => new IpcError({ reason: "Disconnected", operation, detail: "" })

/** Connections whose data may come before they are known, the oldest give way, and how much of it. */
const EARLY_MAX = 64
const EARLY_CHUNKS_MAX = 64
