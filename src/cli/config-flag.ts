import { Option } from 'commander';

/** `--config`, or `MAYFLY_CONFIG`: which configuration of a broker a command looks at. */
export const configOption = (description = 'the configuration file'): Option => new Option('--config <path>', description).env('MAYFLY_CONFIG');

/** The same, where a command can do nothing without it. */
export const requiredConfigOption = (): Option => configOption().makeOptionMandatory();
