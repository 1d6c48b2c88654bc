import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import { cryptoSuite } from "../../support/CryptoSuite.ts"

cryptoSuite("PortableCrypto", PortableCrypto.crypto)
