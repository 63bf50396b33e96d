import { warmServersContract } from '../../contracts/warm-servers.contract.ts';

warmServersContract('docker');
