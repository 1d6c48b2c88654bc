/**
 * Handshakes relayed through the registry for nodes that cannot reach each other yet (rendezvous §4.12). A request is
 * delivered once, but remembered until it is answered: only an accept that answers a request makes a trust pair.
 */
import type { NodeId } from "../wire/Address.ts"
import { Change, type HandshakeRequest, type HandshakeResponse } from "./Change.ts"

/** Requests by target and responses by requester, each oldest first. Mutable; owned by `Registry`. */
export interface HandshakeInbox {
  readonly requests: Map<NodeId, Map<NodeId, HandshakeRequest>>
  readonly responses: Map<NodeId, Map<NodeId, HandshakeResponse>>
}

/** What one poll hands over. */
export interface Polled {
  readonly requests: ReadonlyArray<HandshakeRequest>
  readonly responses: ReadonlyArray<HandshakeResponse>
  readonly changes: ReadonlyArray<Change>
}

/** Nothing waits. */
export const make = (): HandshakeInbox => ({ requests: new Map(), responses: new Map() })

/** Puts a request into the target's inbox: one undelivered per sender, at most `INBOX_MAX` in all. */
export const offer = (
  self: HandshakeInbox,
  target: NodeId,
  request: HandshakeRequest
): ReadonlyArray<Change> | "full" | "pending" => {
  const inbox = entry(self.requests, target)
  if (inbox.get(request.from)?.isDelivered === false) return "pending"
  if (count(inbox, (waiting) => !waiting.isDelivered) >= INBOX_MAX) return "full"
  inbox.delete(request.from)
  inbox.set(request.from, request)
  return [Change.RequestStored({ target, request })]
}

/** Puts a stored request back. */
export const restoreRequest = (self: HandshakeInbox, target: NodeId, request: HandshakeRequest): void => {
  entry(self.requests, target).set(request.from, request)
}

/** Hands over what waits for a node. Responses are gone then; requests stay to be answered, the oldest pushed out. */
export const poll = (self: HandshakeInbox, node: NodeId): Polled => {
  const inbox: ReadonlyMap<NodeId, HandshakeRequest> = self.requests.get(node) ?? new Map()
  const requests = [...inbox.values()].filter((request) => !request.isDelivered).toSorted(byAge)
  const responses = [...(self.responses.get(node)?.values() ?? [])].toSorted(byAge)
  self.responses.delete(node)
  return {
    requests,
    responses,
    changes: [
      ...markDelivered(self, node, requests),
      ...responses.map(({ from }) => Change.ResponseRemoved({ requester: node, from }))
    ]
  }
}

/** Takes the request that a response answers; `undefined` when the peer never asked. */
export const take = (self: HandshakeInbox, responder: NodeId, peer: NodeId): ReadonlyArray<Change> | undefined => {
  const inbox = self.requests.get(responder)
  if (inbox === undefined || !inbox.delete(peer)) return undefined
  if (inbox.size === 0) self.requests.delete(responder)
  return [Change.RequestRemoved({ target: responder, from: peer })]
}

/** Queues a response for the requester: one per responder, the oldest pushed out beyond `INBOX_MAX`. */
export const respond = (
  self: HandshakeInbox,
  requester: NodeId,
  response: HandshakeResponse
): ReadonlyArray<Change> => {
  const inbox = entry(self.responses, requester)
  inbox.delete(response.from)
  inbox.set(response.from, response)
  const stored = Change.ResponseStored({ requester, response })
  return [stored, ...trim(inbox, (from) => Change.ResponseRemoved({ requester, from }))]
}

/** The oldest first; those of one second by their sender, so that stored rows give the same order. */
const byAge = (a: HandshakeRequest | HandshakeResponse, b: HandshakeRequest | HandshakeResponse): number =>
  a.timestampSeconds - b.timestampSeconds || a.from - b.from

const markDelivered = (
  self: HandshakeInbox,
  target: NodeId,
  delivered: ReadonlyArray<HandshakeRequest>
): ReadonlyArray<Change> => {
  if (delivered.length === 0) return []
  const inbox = entry(self.requests, target)
  const stored = delivered.map((waiting) => {
    const request = { ...waiting, isDelivered: true }
    inbox.set(request.from, request)
    return Change.RequestStored({ target, request })
  })
  return [...stored, ...trim(inbox, (from) => Change.RequestRemoved({ target, from }))]
}

/** Drops the oldest entries beyond the bound. */
const trim = <A>(inbox: Map<NodeId, A>, removed: (from: NodeId) => Change): ReadonlyArray<Change> => {
  const surplus = [...inbox.keys()].slice(0, Math.max(0, inbox.size - INBOX_MAX))
  for (const from of surplus) inbox.delete(from)
  return surplus.map(removed)
}

const entry = <A>(inboxes: Map<NodeId, Map<NodeId, A>>, node: NodeId): Map<NodeId, A> => {
  const found = inboxes.get(node)
  if (found !== undefined) return found
  const created = new Map<NodeId, A>()
  inboxes.set(node, created)
  return created
}

const count = <A>(inbox: ReadonlyMap<NodeId, A>, matches: (entry: A) => boolean): number => {
  let total = 0
  for (const value of inbox.values()) if (matches(value)) total++
  return total
}

/** The reference's bound for requests (rendezvous §4.12), used for responses and delivered requests as well. */
const INBOX_MAX = 100
