//! The texts themselves.

pub const USAGE: &str = "\
Usage: haproxy -f <file|dir> [-f ...] [options] [-- <file>...]
       -c           check the files and exit: 0 valid, 1 errors, 2 nothing to do
       -D / -db     in the background / in the foreground
       -sf <pid>... replace running processes; they finish what they have
       -v / -vv     version / what this build can do
       --help       all options, signals and exit codes
";

pub const HELP: &str = "\
Tidegate: a TCP and HTTP proxy and load balancer. It reads haproxy.cfg and takes
HAProxy's command line.

  tidegate                            a demonstration, no file needed
  tidegate -c -f haproxy.cfg          is this configuration good?
  tidegate -db -f haproxy.cfg         run here and now
  tidegate -D -f haproxy.cfg -p pid   run in the background
  tidegate -D -f haproxy.cfg -p pid -sf $(cat pid)
                                      replace it without losing a connection

Configuration
  -f <file|dir>    read a file, or every *.cfg of a directory in order of name;
                   may be repeated
  -- <file>...     the rest are files
  -C <dir>         change to this directory first
  -c               only check. Says 'Configuration file is valid' unless -q
  -cc <condition>  evaluate a condition of '.if': exit 0 true, 1 false, 2 error
  -dD              say also what is merely suspicious
  -dW              do not start if there is any warning
  -dr              a server whose name does not resolve starts in maintenance
  -L <name>        our name as a peer (default: the host name)

Process
  -D               in the background; the shell gets 0 once it is ready
  -db              in the foreground, even if a file says 'daemon'
  -d               the same, and say more
  -p <file>        write the pid there (in the background only)
  -sf <pid>...     once ready, tell these to finish and leave (SIGUSR1)
  -st <pid>...     once ready, tell these to leave at once (SIGTERM)
  -q / -V          say nothing / say more

Recording, to run the engines again with 'tidegate-sim replay <file>'
  --record <dir>   write a file for each thread there: the configuration, and
                   everything that comes in. WARNING: this is the traffic in
                   clear, with passwords and cookies; only the owner may read it
  --record-limit <size>
                   end the recording of a thread at this size (256m), go on

Limits
  -n <number>      connections of the whole process (maxconn)
  -N <number>      connections of each frontend that sets no maxconn
  -m <MB>          memory

Switches
  -dS              never splice
  -dR              one socket per listener, never one per thread
  -dK<class>       list the keywords (-dKhelp for the classes)
  -dL              list the loaded libraries
  -de -dp -dk -dv -dG -dV -dM
                   accepted for HAProxy's sake; they change nothing here

Not supported: -W, -Ws, -S (no master process), -x (sockets from a socket).

Signals
  USR1             stop listening, finish what is there, end with 0
  TTOU / TTIN      pause / resume listening
  HUP              write the state of all servers and proxies to the log
  QUIT             say what the pools hold, and give free memory back
  TERM, INT        end at once

Exit codes
  0 fine   1 a wrong command line or file, or no start   2 nothing to listen on
";
