# Opens one TUN device per name and becomes the command after "--", which finds them as file descriptors 4, 5, … in that
# order (3 is the channel to the parent). Node has no ioctl; Perl is part of every Debian and every git.
#
# perl open-tunnels.pl NAME… -- COMMAND…
use strict;
use warnings;
use Fcntl qw(O_RDWR);
use POSIX ();

use constant { TUNSETIFF => 0x400454ca, IFF_TUN => 0x0001, IFF_NO_PI => 0x1000, FIRST => 4 };

$^F = 255;    # keep descriptors over exec
my $fd = FIRST;
while (defined(my $name = shift @ARGV)) {
    last if $name eq '--';
    my $opened = POSIX::open('/dev/net/tun', O_RDWR) // die "/dev/net/tun: $!\n";
    if ($opened != $fd) { POSIX::dup2($opened, $fd) or die "dup2: $!\n"; POSIX::close($opened) }
    open(my $handle, '+<&=', $fd) or die "descriptor $fd: $!\n";
    ioctl($handle, TUNSETIFF, pack('a16 s x22', $name, IFF_TUN | IFF_NO_PI)) or die "$name: $!\n";
    our @kept;
    push @kept, $handle;
    $fd++;
}
exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!\n";
