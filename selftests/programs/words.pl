# SPDX-License-Identifier: GPL-2.0-only
# words.pl [FILE]: text of made-up words, taken apart with regular expressions and counted in
# hashes. With FILE the text goes there, and nothing is counted.
use strict;
use warnings;

my $state = 1;

sub number {
	$state = ($state * 1103515245 + 12345) % 2147483648;
	return ($state >> 8) % $_[0];
}

my $text = '';
for (1 .. 150000) {
	$text .= join('', map { chr(97 + number(26)) } 0 .. number(9)) . (number(11) ? ' ' : ".\n");
}

if (@ARGV) {
	open(my $file, '>', $ARGV[0]) or die $!;
	print $file $text;
	print length($text), "\n";
	exit;
}

my (%count, %after);
my $last = '';
while ($text =~ /([a-z]+)([.]?)/g) {
	$count{$1}++;
	push @{ $after{$last} }, $1;
	$last = $2 ? '' : $1;
}
my @most = (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 50];
print "$_ $count{$_} ", scalar(@{ $after{$_} || [] }), "\n" for @most;
delete $count{$_} for grep { /[aeiou]{2}/ } keys %count;
(my $other = $text) =~ s/(\w)(\w+)/$2$1/g;
print scalar(keys %count), ' ', length($other), ' ', unpack('%32C*', $other), "\n";
