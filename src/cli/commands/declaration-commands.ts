import type { Command } from 'commander';
import { examples } from '../examples.ts';
import { print } from '../output.ts';
import type { AgentFlags, SignFlags } from '../sign-declaration.ts';

/** Commands of an orchestrator that vouches for declarations: declaration digest, declaration sign. They ask no broker. */
export function addDeclarationCommands(program: Command): void {
  const declaration = program.command('declaration').description('vouch for a declaration of an agent; asks no broker');
  const about = (command: Command): Command =>
    command
      .requiredOption('--file <path>', 'the declaration as JSON; - for standard input')
      .option('--agent <subject>', 'who will act, where the declaration does not say it')
      .requiredOption('--agent-issuer <issuer>', 'who vouches for the name of that agent');

  about(declaration.command('digest'))
    .description('print the digest that stands for the declaration')
    .addHelpText('before', examples('mayfly declaration digest --file declaration.json --agent-issuer https://issuer.example'))
    .action(async (flags: AgentFlags) => print((await import('../sign-declaration.ts')).digestDeclaration(flags)));

  about(declaration.command('sign'))
    .description('print a signed declaration, good for one use within minutes')
    .requiredOption('--key-file <path>', 'the private key of the issuer, PEM')
    .option('--kid <id>', "of that key; its thumbprint (RFC 7638) where not given")
    .requiredOption('--issuer <issuer>', 'who signs, as the broker knows it')
    .requiredOption('--subject <subject>', 'the orchestrator that vouches')
    .requiredOption('--audience <audience>', 'what tokens of that issuer carry to call the broker')
    .option('--lifetime <seconds>', 'at most 300', '120')
    .addHelpText('before', examples('mayfly declaration sign --file declaration.json --agent-issuer https://issuer.example --key-file key.pem \\', '  --issuer https://desk.example --subject orchestrator:desk --audience mayfly > signed.jwt', 'mayfly request --file declaration.json --signed-declaration signed.jwt'))
    .action(async (flags: SignFlags) => print(await (await import('../sign-declaration.ts')).signDeclaration(flags)));
}
