/**
 * The text of `trust.json` (node §2.5), which other implementations read and write too. Beyond their members it has
 * `outgoing` and `revoked` lists, those of `AdmissionFile`, and a few marks in rows, which they ignore; what they add, we
 * keep.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import * as Admission from "../../protocol/trust/Admission.ts"
import { PUBLIC_KEY_BYTES } from "../../protocol/trust/HandshakeCheck.ts"
import * as Justification from "../../protocol/trust/Justification.ts"
import type * as Relation from "../../protocol/trust/Relation.ts"
import * as TrustTable from "../../protocol/trust/TrustTable.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import * as AdmissionFile from "./AdmissionFile.ts"
import { secondsOf, timeText } from "./AdmissionFile.ts"

/** A table, what was allowed beforehand, and the members of the file that are not ours. */
export interface Content {
  readonly table: TrustTable.TrustTable
  readonly admission: Admission.Admission
  readonly foreign: Foreign
}

/** Unknown members: of the file, and of rows by `list/node id`. */
export interface Foreign {
  readonly file: Json.JsonObject
  readonly rows: ReadonlyMap<string, Json.JsonObject>
}

/** No trust, nothing foreign. */
export const empty: Content = {
  table: TrustTable.empty,
  admission: Admission.empty,
  foreign: { file: {}, rows: new Map() }
}

/**
 * Reads the text; `undefined` when it is no JSON object. A trusted row without a key trusts nobody, because a peer is
 * its key (security rule 1): it becomes a pending request, so that a person decides when the key is known.
 */
export const decode = (text: string, nowSeconds: number): Content | undefined => {
  const file = Json.parseObject(text)
  if (file === undefined) return undefined
  const rows = new Map<string, Json.JsonObject>()
  let table = TrustTable.empty
  for (const list of LISTS) {
    for (const row of Json.objects(file, list)) {
      const node = NodeId(Json.unsigned(row, "node_id", 32))
      const amended = READERS[list](TrustTable.relation(table, node), row, nowSeconds)
      if (node === 0 || amended === undefined) continue
      table = TrustTable.put(table, node, amended)
      const foreign = without(row, ROW_MEMBERS[list])
      if (Object.keys(foreign).length > 0) rows.set(`${list}/${node}`, foreign)
    }
  }
  const admission = AdmissionFile.admissionOf(file)
  return { table, admission, foreign: { file: without(file, [...LISTS, ...AdmissionFile.LISTS]), rows } }
}

/** Writes the text: two-space indented, without a newline at the end; only what survives a restart. */
export const encode = ({ table, admission, foreign }: Content): string => {
  const lists = {
    trusted: rowsOf("trusted"),
    pending: rowsOf("pending"),
    outgoing: rowsOf("outgoing"),
    revoked: rowsOf("revoked")
  }
  return GoJson.encodeOrderedIndented({
    trusted: lists.trusted ?? null,
    pending: lists.pending,
    outgoing: lists.outgoing,
    revoked: lists.revoked,
    ...AdmissionFile.listsOf(admission),
    ...foreign.file
  })

  function rowsOf(list: List): ReadonlyArray<Json.JsonObject> | undefined {
    const rows = [...table].flatMap(([node, relation]) => {
      const row = WRITERS[list](relation)
      return row === undefined ? [] : [{ node_id: node, ...row, ...foreign.rows.get(`${list}/${node}`) }]
    })
    return rows.length === 0 ? undefined : rows
  }
}

/** Whether the rows of one peer would be the same. */
export const isSame = (one: Relation.Relation, other: Relation.Relation): boolean =>
  one === other || LISTS.every((list) => JSON.stringify(WRITERS[list](one)) === JSON.stringify(WRITERS[list](other)))

type List = "trusted" | "pending" | "outgoing" | "revoked"
type Reader = (self: Relation.Relation, row: Json.JsonObject, nowSeconds: number) => Relation.Relation | undefined
type Writer = (self: Relation.Relation) => Json.JsonObject | undefined

const LISTS: ReadonlyArray<List> = ["trusted", "pending", "outgoing", "revoked"]

const READERS: Readonly<Record<List, Reader>> = {
  trusted: (self, row, nowSeconds) => {
    const publicKey = keyOf(row)
    if (publicKey.length === 0) {
      const pending = { publicKey, justification: "", receivedAtSeconds: nowSeconds, confirmed: false }
      return { ...self, pending }
    }
    const trusted: Relation.Trusted = {
      publicKey,
      approvedAtSeconds: secondsOf(row, "approved_at") ?? 0,
      mutual: Json.boolean(row, "mutual"),
      network: Json.unsigned(row, "network", 16),
      acceptDue: Json.boolean(row, "accept_due"),
      reported: false,
      servicesDue: Json.strings(row, "services_due")
    }
    return { ...self, trusted }
  },
  pending: (self, row, nowSeconds) => {
    const pending: Relation.Pending = {
      publicKey: keyOf(row),
      justification: Justification.clean(Json.string(row, "justification")),
      receivedAtSeconds: secondsOf(row, "received_at") ?? nowSeconds,
      confirmed: Json.boolean(row, "confirmed")
    }
    return { ...self, pending }
  },
  outgoing: (self, row, nowSeconds) => {
    const publicKey = keyOf(row)
    if (publicKey.length === 0) return undefined
    const outgoing: Relation.Outgoing = {
      publicKey,
      justification: Justification.clean(Json.string(row, "justification")),
      requestedAtSeconds: secondsOf(row, "requested_at") ?? nowSeconds,
      acceptedAtSeconds: secondsOf(row, "accepted_at")
    }
    return { ...self, outgoing }
  },
  revoked: (self, row) => {
    const untilSeconds = secondsOf(row, "until")
    if (untilSeconds === undefined) return undefined
    const reportDue = Json.boolean(row, "report_due")
    // A key is kept only as long as it has to be told something.
    const publicKey = Json.boolean(row, "notice_due") ? keyOf(row) : Bytes.empty
    const noticeDue = publicKey.length > 0
    return { ...self, revoked: { untilSeconds, reportDue, publicKey, noticeDue, triedAtSeconds: 0 } }
  }
}

/** A mark that is false and a text that is empty are left out, as the reference does. */
const WRITERS: Readonly<Record<List, Writer>> = {
  trusted: ({ trusted }) =>
    trusted && {
      public_key: Bytes.toBase64(trusted.publicKey),
      approved_at: timeText(trusted.approvedAtSeconds),
      mutual: trusted.mutual,
      network: trusted.network || undefined,
      accept_due: trusted.acceptDue || undefined,
      services_due: trusted.servicesDue.length === 0 ? undefined : trusted.servicesDue
    },
  pending: ({ pending }) =>
    pending && {
      public_key: Bytes.toBase64(pending.publicKey) || undefined,
      justification: pending.justification || undefined,
      received_at: timeText(pending.receivedAtSeconds),
      confirmed: pending.confirmed || undefined
    },
  outgoing: ({ outgoing }) =>
    outgoing && {
      public_key: Bytes.toBase64(outgoing.publicKey),
      justification: outgoing.justification || undefined,
      requested_at: timeText(outgoing.requestedAtSeconds),
      accepted_at: outgoing.acceptedAtSeconds === undefined ? undefined : timeText(outgoing.acceptedAtSeconds)
    },
  revoked: ({ revoked }) =>
    revoked && {
      until: timeText(revoked.untilSeconds),
      report_due: revoked.reportDue || undefined,
      public_key: revoked.noticeDue ? Bytes.toBase64(revoked.publicKey) : undefined,
      notice_due: revoked.noticeDue || undefined
    }
}

const ROW_MEMBERS: Readonly<Record<List, ReadonlyArray<string>>> = {
  trusted: ["node_id", "public_key", "approved_at", "mutual", "network", "accept_due", "services_due"],
  pending: ["node_id", "public_key", "justification", "received_at", "confirmed"],
  outgoing: ["node_id", "public_key", "justification", "requested_at", "accepted_at"],
  revoked: ["node_id", "until", "report_due", "public_key", "notice_due"]
}

const without = (object: Json.JsonObject, members: ReadonlyArray<string>): Json.JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([member]) => !members.includes(member)))

/** A key of the right size; else none. */
const keyOf = (row: Json.JsonObject): Uint8Array => {
  const publicKey = Bytes.fromBase64Lenient(Json.string(row, "public_key"))
  return publicKey?.length === PUBLIC_KEY_BYTES ? publicKey : Bytes.empty
}
