/** The list of beacons that nodes may use (rendezvous §4.15). */
import * as Json from "../../core/data/Json.ts"
import * as BeaconList from "./BeaconList.ts"
import * as Refusal from "./Refusal.ts"
import { answer, isAdmin, type Operation } from "./RegistryState.ts"

/** `beacon_register`: needs the admin token where the operator set one, because a beacon sees relayed traffic. */
export const registerBeacon: Operation = (state, call) => {
  const id = Json.unsigned(call.fields, "beacon_id", 32)
  const address = Json.string(call.fields, "addr")
  if (id === 0) return Refusal.fail("beacon_field_required", "beacon_id required")
  if (address === "") return Refusal.fail("beacon_field_required", "addr required")
  if (address.length > ADDRESS_LENGTH_MAX) return Refusal.fail("limit_exceeded", "addr too long")
  if (state.policy.adminToken !== undefined && !isAdmin(state, Json.string(call.fields, "admin_token"))) {
    return Refusal.fail("admin_token_required", "beacon_register requires the admin token")
  }
  return BeaconList.announce(state.beacons, id, address, call.at.nowMs)
    ? answer({ beacon_id: id })
    : Refusal.fail("registry_full", "beacon list is full")
}

/** `beacon_list`. */
export const listBeacons: Operation = (state, call) =>
  answer({
    beacons: BeaconList.live(state.beacons, call.at.nowMs).map(({ id, address }) => ({ id, addr: address }))
  })

/** A host name and a port. */
const ADDRESS_LENGTH_MAX = 262
