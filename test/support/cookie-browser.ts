/** What a browser does for somebody who signs in: keeps cookies of one host, follows no redirect by itself, and says where a request is from. */
export class CookieBrowser {
  readonly cookies = new Map<string, string>();
  readonly #home: string;

  /** @param home the origin that its cookies are for. */
  constructor(home: string) {
    this.#home = home;
  }

  /** What it sends with what the page of the broker asks for because its person does something. */
  headers(): Readonly<Record<string, string>> {
    return { Cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; '), 'Sec-Fetch-Site': 'same-origin', 'X-Mayfly-Request': 'dashboard' };
  }

  /** Asks; takes the cookies of the answer where it is of its home. */
  async ask(url: string, init: RequestInit = {}): Promise<Response> {
    const target = new URL(url, this.#home);
    const ours = target.origin === this.#home;
    const { Cookie: cookie = '' } = this.headers();
    const response = await fetch(target, { redirect: 'manual', ...init, headers: { ...(ours && cookie !== '' ? { Cookie: cookie } : {}), ...(init.headers as Record<string, string> | undefined) } });
    if (ours) for (const line of response.headers.getSetCookie()) this.#keep(line);
    return response;
  }

  /** As the page of the broker asks for something that its person does. */
  async act(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return this.ask(path, {
      method,
      headers: { ...this.headers(), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Goes to the issuer of the development stack, says who it is, and stops before it brings the answer back: gives where to. */
  async goToIssuer(person: string, query = ''): Promise<URL> {
    const sent = await this.ask(`/auth/sign-in${query}`);
    if (sent.status !== 303) throw new Error(`sign-in answered ${sent.status}: ${await sent.text()}`);
    const chosen = await this.ask(`${sent.headers.get('location') ?? ''}&person=${person}`);
    if (chosen.status !== 303) throw new Error(`the issuer answered ${chosen.status}`);
    return new URL(chosen.headers.get('location') ?? '');
  }

  /** Signs in as one of the people of the development stack. */
  async signIn(person: string, query = ''): Promise<Response> {
    return this.ask((await this.goToIssuer(person, query)).href);
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split('; ');
    const name = pair.slice(0, pair.indexOf('='));
    const value = pair.slice(name.length + 1);
    if (value === '' || attributes.some((one) => /^expires=Thu, 01 Jan 1970/i.test(one))) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }
}
