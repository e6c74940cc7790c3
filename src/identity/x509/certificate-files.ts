import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { stampOf } from '../bundle-file.ts';
import type { KeyLog } from '../public-keys.ts';

/** What a TLS server shows: PEM, the own certificate first. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Where a server's certificate comes from, for as long as it lives. */
export interface CertificateSource {
  /** Calls back with the certificate as soon as there is one, and again with each that follows. */
  onCertificate(use: (certificate: ServerCertificate) => void): void;
  close(): void;
}

/** The files are looked at this often. */
const LOOK_EVERY_MS = 1_000;

/**
 * A certificate in two files, taken up anew when they change. While they do not fit each other, because only one was
 * replaced yet, the last pair that did stays. Throws when there is none that fits at the start.
 */
export function certificateFiles(files: { readonly certificateFile: string; readonly keyFile: string }, log: KeyLog): CertificateSource {
  const { certificateFile, keyFile } = files;
  const read = (): ServerCertificate => {
    const pair = { cert: readFileSync(certificateFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    // Throws for what is no certificate, and for a key of another one.
    createSecureContext(pair);
    return pair;
  };
  const stamp = (): string => `${stampOf(certificateFile)}|${stampOf(keyFile)}`;
  let seen = stamp();
  let told = '';
  const first = read();
  let timer: NodeJS.Timeout | undefined;
  return {
    onCertificate(use) {
      use(first);
      timer = setInterval(() => {
        const now = stamp();
        if (now === seen) return;
        try {
          use(read());
          seen = now;
        } catch (error) {
          // Looked at again next time: the other file may be on its way.
          if (told !== now) log.warn({ certificate_file: certificateFile, err: error }, 'the new certificate cannot be used; the one before stays');
          told = now;
        }
      }, LOOK_EVERY_MS).unref();
    },
    close: () => clearInterval(timer),
  };
}
