/**
 * What a node asks of a registry (rendezvous §4). Keys and signatures stay the base64 texts that were sent, because
 * signatures cover the text. Reading is lenient (rendezvous §2.2): a member that is missing, of another type or out of
 * range is the zero of its type, and the registry's rules decide what that means.
 */
import type { Data } from "effect"
import * as Json from "../../core/data/Json.ts"
import { NodeId } from "./Address.ts"
import * as Signature from "./RegistrySignature.ts"

/** One request. */
export type RegistryRequest = Data.TaggedEnum<{
  Register: {
    /** The address and port to be reached at; only the port counts. */
    readonly listenAddress: string
    readonly publicKey: string
    readonly owner: string
    readonly hostname: string
    /** Addresses on the local network, `ip:port`. */
    readonly lanAddresses: ReadonlyArray<string>
    /** An extension of ours: what is to be known of the keys of this node (`KeyChain.toText`), empty for nothing yet. */
    readonly keyChain?: string
    readonly signature: string
  }
  Heartbeat: { readonly node: NodeId; readonly signature: string }
  Deregister: { readonly node: NodeId; readonly signature: string }
  Lookup: { readonly node: NodeId }
  Resolve: { readonly node: NodeId; readonly requester: NodeId; readonly signature: string }
  ResolveHostname: { readonly hostname: string; readonly requester: NodeId }
  SetHostname: { readonly node: NodeId; readonly hostname: string; readonly signature: string }
  SetVisibility: { readonly node: NodeId; readonly isPublic: boolean; readonly signature: string }
  SetTags: { readonly node: NodeId; readonly tags: ReadonlyArray<string>; readonly signature: string }
  SetTaskExec: { readonly node: NodeId; readonly enabled: boolean; readonly signature: string }
  /** Reputation (rendezvous §4.13). */
  GetScore: { readonly node: NodeId }
  AddScore: {
    readonly node: NodeId
    readonly requester: NodeId
    readonly points: number
    readonly signature: string
  }
  ReportTrust: { readonly node: NodeId; readonly peer: NodeId; readonly signature: string }
  RevokeTrust: { readonly node: NodeId; readonly peer: NodeId; readonly signature: string }
  RequestHandshake: {
    readonly from: NodeId
    readonly to: NodeId
    readonly justification: string
    readonly signature: string
  }
  PollHandshakes: { readonly node: NodeId; readonly signature: string }
  RespondHandshake: {
    readonly node: NodeId
    readonly peer: NodeId
    readonly accept: boolean
    readonly signature: string
  }
  Punch: { readonly requester: NodeId; readonly a: NodeId; readonly b: NodeId; readonly signature: string }
  /** An extension of ours: statements about the keys of a node, which are signed themselves. */
  PublishKeyChain: { readonly node: NodeId; readonly keyChain: string }
  /** An extension of ours: the card of a service, with the signature of its own. */
  PublishCard: { readonly node: NodeId; readonly signedCard: Json.JsonObject; readonly signature: string }
  WithdrawCard: { readonly node: NodeId; readonly service: string; readonly signature: string }
  /** `schema` is a JSON Schema of the arguments that the caller has; empty for none. */
  SearchCards: { readonly query: string; readonly schema: Json.JsonObject; readonly limit: number }
  /** A type this page does not know, as sent. */
  Unknown: { readonly type: string }
}>

/** The JSON object, members in the reference's order. Empty options of `Register` are left out. */
export const toObject = (self: RegistryRequest): Json.JsonObject => {
  switch (self._tag) {
    case "Register":
      return registerObject(self)
    case "Heartbeat":
    case "Deregister":
    case "PollHandshakes":
      return { type: TYPE[self._tag], node_id: self.node, signature: optional(self.signature) }
    case "Lookup":
      return { type: TYPE.Lookup, node_id: self.node }
    case "Resolve":
      return {
        type: TYPE.Resolve,
        node_id: self.node,
        requester_id: self.requester,
        signature: optional(self.signature)
      }
    case "ResolveHostname":
      return { type: TYPE.ResolveHostname, hostname: self.hostname, requester_id: self.requester || undefined }
    case "SetHostname":
      return {
        type: TYPE.SetHostname,
        node_id: self.node,
        hostname: self.hostname,
        signature: optional(self.signature)
      }
    case "SetVisibility":
      return {
        type: TYPE.SetVisibility,
        node_id: self.node,
        public: self.isPublic,
        signature: optional(self.signature)
      }
    case "SetTags":
      return { type: TYPE.SetTags, node_id: self.node, tags: self.tags, signature: optional(self.signature) }
    case "SetTaskExec":
      return { type: TYPE.SetTaskExec, node_id: self.node, enabled: self.enabled, signature: optional(self.signature) }
    case "GetScore":
      return { type: TYPE.GetScore, node_id: self.node }
    case "AddScore":
      return {
        type: TYPE.AddScore,
        node_id: self.node,
        delta: self.points,
        // Unsigned ones of the reference name nobody.
        requester_id: self.requester === 0 ? undefined : self.requester,
        signature: optional(self.signature)
      }
    case "ReportTrust":
    case "RevokeTrust":
      return { type: TYPE[self._tag], node_id: self.node, peer_id: self.peer, signature: optional(self.signature) }
    case "RequestHandshake":
      return {
        type: TYPE.RequestHandshake,
        from_node_id: self.from,
        to_node_id: self.to,
        justification: self.justification,
        signature: optional(self.signature)
      }
    case "RespondHandshake":
      return {
        type: TYPE.RespondHandshake,
        node_id: self.node,
        peer_id: self.peer,
        accept: self.accept,
        signature: optional(self.signature)
      }
    case "Punch":
      return {
        type: TYPE.Punch,
        requester_id: self.requester,
        node_a: self.a,
        node_b: self.b,
        signature: optional(self.signature)
      }
    case "PublishKeyChain":
      return { type: TYPE.PublishKeyChain, node_id: self.node, key_chain: self.keyChain }
    case "PublishCard":
      return {
        type: TYPE.PublishCard,
        node_id: self.node,
        signed_card: self.signedCard,
        signature: optional(self.signature)
      }
    case "WithdrawCard":
      return {
        type: TYPE.WithdrawCard,
        node_id: self.node,
        service: self.service,
        signature: optional(self.signature)
      }
    case "SearchCards":
      return { type: TYPE.SearchCards, query: self.query, schema: self.schema, limit: self.limit }
    case "Unknown":
      return { type: self.type }
  }
}

/** Reads a JSON object; total. */
export const fromObject = (object: Json.JsonObject): RegistryRequest => {
  const id = (name: string): NodeId => NodeId(Json.unsigned(object, name, 32))
  const type = Json.string(object, "type")
  const node = id("node_id")
  const signature = Json.string(object, "signature")
  switch (type) {
    case TYPE.Register:
      return {
        _tag: "Register",
        listenAddress: Json.string(object, "listen_addr"),
        publicKey: Json.string(object, "public_key"),
        owner: Json.string(object, "owner"),
        hostname: Json.string(object, "hostname"),
        lanAddresses: Json.strings(object, "lan_addrs"),
        ...(Json.member(object, "key_chain") !== undefined && { keyChain: Json.string(object, "key_chain") }),
        signature
      }
    case TYPE.Heartbeat:
      return { _tag: "Heartbeat", node, signature }
    case TYPE.Deregister:
      return { _tag: "Deregister", node, signature }
    case TYPE.Lookup:
      return { _tag: "Lookup", node }
    case TYPE.Resolve:
      return { _tag: "Resolve", node, requester: id("requester_id"), signature }
    case TYPE.ResolveHostname:
      return { _tag: "ResolveHostname", hostname: Json.string(object, "hostname"), requester: id("requester_id") }
    case TYPE.SetHostname:
      return { _tag: "SetHostname", node, hostname: Json.string(object, "hostname"), signature }
    case TYPE.SetVisibility:
      return { _tag: "SetVisibility", node, isPublic: Json.boolean(object, "public"), signature }
    case TYPE.SetTags:
      return { _tag: "SetTags", node, tags: Json.strings(object, "tags"), signature }
    case TYPE.SetTaskExec:
      return { _tag: "SetTaskExec", node, enabled: Json.boolean(object, "enabled"), signature }
    case TYPE.GetScore:
      return { _tag: "GetScore", node }
    case TYPE.AddScore:
      return { _tag: "AddScore", node, requester: id("requester_id"), points: Json.integer(object, "delta"), signature }
    case TYPE.ReportTrust:
      return { _tag: "ReportTrust", node, peer: id("peer_id"), signature }
    case TYPE.RevokeTrust:
      return { _tag: "RevokeTrust", node, peer: id("peer_id"), signature }
    case TYPE.RequestHandshake:
      return {
        _tag: "RequestHandshake",
        from: id("from_node_id"),
        to: id("to_node_id"),
        justification: Json.string(object, "justification"),
        signature
      }
    case TYPE.PollHandshakes:
      return { _tag: "PollHandshakes", node, signature }
    case TYPE.RespondHandshake:
      return { _tag: "RespondHandshake", node, peer: id("peer_id"), accept: Json.boolean(object, "accept"), signature }
    case TYPE.Punch:
      return { _tag: "Punch", requester: id("requester_id"), a: id("node_a"), b: id("node_b"), signature }
    case TYPE.PublishKeyChain:
      return { _tag: "PublishKeyChain", node, keyChain: Json.string(object, "key_chain") }
    case TYPE.PublishCard:
      return { _tag: "PublishCard", node, signedCard: member(object, "signed_card"), signature }
    case TYPE.WithdrawCard:
      return { _tag: "WithdrawCard", node, service: Json.string(object, "service"), signature }
    case TYPE.SearchCards:
      return {
        _tag: "SearchCards",
        query: Json.string(object, "query"),
        schema: member(object, "schema"),
        limit: Json.unsigned(object, "limit", 16)
      }
    default:
      return { _tag: "Unknown", type }
  }
}

/** The text this request's signature covers; `undefined` where nothing is signed. */
export const signedText = (self: RegistryRequest): string | undefined => {
  switch (self._tag) {
    case "Register":
      return Signature.register(self.listenAddress, self.publicKey)
    case "Heartbeat":
      return Signature.heartbeat(self.node)
    case "Deregister":
      return Signature.deregister(self.node)
    case "Resolve":
      return Signature.resolve(self.requester, self.node)
    case "SetHostname":
      return Signature.setHostname(self.node)
    case "SetVisibility":
      return Signature.setVisibility(self.node)
    case "SetTags":
      return Signature.setTags(self.node)
    case "SetTaskExec":
      return Signature.setTaskExec(self.node)
    case "AddScore":
      return Signature.addScore(self.requester, self.node, self.points)
    case "ReportTrust":
      return Signature.reportTrust(self.node, self.peer)
    case "RevokeTrust":
      return Signature.revokeTrust(self.node, self.peer)
    case "RequestHandshake":
      return Signature.handshake(self.from, self.to)
    case "PollHandshakes":
      return Signature.pollHandshakes(self.node)
    case "RespondHandshake":
      return Signature.respondHandshake(self.node, self.peer)
    case "Punch":
      return Signature.punch(self.a, self.b)
    case "PublishCard": {
      const card = member(self.signedCard, "card")
      return Signature.publishCard(self.node, Json.string(card, "service"), Json.integer(card, "sequence"))
    }
    case "WithdrawCard":
      return Signature.withdrawCard(self.node, self.service)
    case "Lookup":
    case "GetScore":
    case "ResolveHostname":
    case "SearchCards":
    case "PublishKeyChain":
    case "Unknown":
      return undefined
  }
}

/** The same request with its signature, in base64; one that is not signed stays as it is. */
export const withSignature = (self: RegistryRequest, signature: string): RegistryRequest =>
  "signature" in self ? { ...self, signature } : self

const registerObject = (self: Extract<RegistryRequest, { readonly _tag: "Register" }>): Json.JsonObject => ({
  type: TYPE.Register,
  listen_addr: optional(self.listenAddress),
  public_key: optional(self.publicKey),
  owner: optional(self.owner),
  hostname: optional(self.hostname),
  lan_addrs: self.lanAddresses.length === 0 ? undefined : self.lanAddresses,
  key_chain: self.keyChain,
  signature: optional(self.signature)
})

const member = (self: Json.JsonObject, name: string): Json.JsonObject => {
  const value = Json.member(self, name)
  return Json.isObject(value) ? value : {}
}

const optional = (text: string): string | undefined => (text === "" ? undefined : text)

const TYPE = {
  Register: "register",
  Heartbeat: "heartbeat",
  Deregister: "deregister",
  Lookup: "lookup",
  Resolve: "resolve",
  ResolveHostname: "resolve_hostname",
  SetHostname: "set_hostname",
  SetVisibility: "set_visibility",
  SetTags: "set_tags",
  SetTaskExec: "set_task_exec",
  GetScore: "get_polo_score",
  AddScore: "update_polo_score",
  ReportTrust: "report_trust",
  RevokeTrust: "revoke_trust",
  RequestHandshake: "request_handshake",
  PollHandshakes: "poll_handshakes",
  RespondHandshake: "respond_handshake",
  Punch: "punch",
  PublishKeyChain: "publish_key_chain",
  PublishCard: "publish_card",
  WithdrawCard: "withdraw_card",
  SearchCards: "search_cards"
} as const
